/* What a core can do at most, in float32 and in bfloat16: the multiply-add instructions
 * alone, on registers. Tells whether `--precision bfloat16` can pay on a processor.
 *
 *   gcc -O2 -funroll-loops -mavx512f -mavx512bf16 -o /tmp/bf16 benchmarks/bfloat16.c
 *   /tmp/bf16
 */

#include <immintrin.h>
#include <stdio.h>
#include <time.h>

#define CHAINS 16 /* independent sums, more than an instruction takes cycles */
#define ROUNDS 50000000L

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

int main(void) {
  __m512 sums[CHAINS], one = _mm512_set1_ps(1e-9f);
  __m512bh pairs = _mm512_cvtne2ps_pbh(one, one);
  for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_ps();

  double start = seconds();
  for (long round = 0; round < ROUNDS; round++)
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_fmadd_ps(one, one, sums[i]);
  double wide = seconds() - start;

  start = seconds();
  for (long round = 0; round < ROUNDS; round++)
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_dpbf16_ps(sums[i], pairs, pairs);
  double narrow = seconds() - start;

  float total = 0; /* printed, so that the compiler keeps the loops */
  for (int i = 0; i < CHAINS; i++) total += _mm512_reduce_add_ps(sums[i]);
  double instructions = 1e-9 * CHAINS * ROUNDS;
  printf("float32   %6.1f GFLOP/s a core\n", 32 * instructions / wide);
  printf("bfloat16  %6.1f GFLOP/s a core, %.2f times (sum %g)\n",
         64 * instructions / narrow, 2 * wide / narrow, total);
  return 0;
}
