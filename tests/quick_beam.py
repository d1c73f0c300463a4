"""Beam starts a pipeline in a third of the time; what it does is the same.

For each transform it reads the flags anew, and looks at each method of each DoFn
several times: half a second of processor time a pipeline, and the tests run hundreds.
Both say the same each time, so here they are found once: the views of a set of options,
which share its values in any case, and the states and timers of a class of DoFns.
"""

import sys
import types
import weakref


def _keep_views(pipeline_options):
    view_as = pipeline_options.PipelineOptions.view_as
    views = weakref.WeakKeyDictionary()

    def kept_view(self, cls):
        own = views.setdefault(self, {})
        if cls not in own:
            own[cls] = view_as(self, cls)
        return own[cls]

    pipeline_options.PipelineOptions.view_as = kept_view


def _keep_specs(userstate):
    get_dofn_specs = userstate.get_dofn_specs
    specs = {}

    def kept_specs(dofn):
        # Those have methods of their own.
        if any(isinstance(one, types.MethodType) for one in vars(dofn).values()):
            return get_dofn_specs(dofn)
        if type(dofn) not in specs:
            specs[type(dofn)] = get_dofn_specs(dofn)
        return tuple(map(set, specs[type(dofn)]))

    userstate.get_dofn_specs = kept_specs


_WAITING = {
    "apache_beam.options.pipeline_options": _keep_views,
    "apache_beam.transforms.userstate": _keep_specs,
}


def pytest_runtest_setup():
    # Not imported here: many tests go without Beam.
    for name in [*_WAITING]:
        if name in sys.modules:
            _WAITING.pop(name)(sys.modules[name])
