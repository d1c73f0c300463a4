import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TString;

/** Paints a photograph in the style of a painting with a SavedModel of stylebeam. */
public final class Stylize {
  private static final String USAGE =
      """
      usage: java -jar stylize.jar MODEL CONTENT STYLE OUTPUT [ALPHA]
        MODEL    folder of `stylebeam export --format savedmodel`
        CONTENT  photograph, JPEG or PNG
        STYLE    painting, JPEG or PNG
        OUTPUT   PNG to be written, of the photograph's size
        ALPHA    strength of the style, 0 to 1 (default: 1)""";

  public static void main(String[] arguments) {
    if (arguments.length < 4 || arguments.length > 5) {
      System.err.println(USAGE);
      System.exit(2);
    }
    try {
      float alpha = arguments.length == 5 ? Float.parseFloat(arguments[4]) : 1;
      byte[] content = Files.readAllBytes(Path.of(arguments[1]));
      byte[] style = Files.readAllBytes(Path.of(arguments[2]));
      byte[] image = stylize(arguments[0], content, style, alpha);
      Files.write(Path.of(arguments[3]), image);
    } catch (IOException | NumberFormatException | TensorFlowException error) {
      System.err.println("stylize: " + error);
      System.exit(1);
    }
  }

  /**
   * Returns the bytes of a PNG.
   *
   * @param model folder of the SavedModel
   * @param content bytes of the photograph
   * @param style bytes of the painting
   * @param alpha strength of the style
   */
  private static byte[] stylize(String model, byte[] content, byte[] style, float alpha) {
    // Whoever paints many pictures keeps the loaded model: one loading, many calls.
    try (SavedModelBundle loaded = SavedModelBundle.load(model, "serve");
        TString contentBytes = TString.tensorOfBytes(NdArrays.scalarOfObject(content));
        TString styleBytes = TString.tensorOfBytes(NdArrays.scalarOfObject(style));
        TFloat32 strength = TFloat32.scalarOf(alpha);
        Result result =
            loaded
                .function("serving_default")
                .call(Map.of("content", contentBytes, "style", styleBytes, "alpha", strength))) {
      return ((TString) result.get("image").orElseThrow()).asBytes().getObject();
    }
  }
}
