"""How tight the bounds of the check are: no more than 50 times what the worst kernel needs."""
import re
from collections import defaultdict

LINE = re.compile(r"PASS (?P<layer>\w+)(?P<kernel>[/.]\w+) +(?P<engine>[\w-]+) +"
                  r"error (?P<error>\S+) bound (?P<bound>\S+)")
TIMES = 50


def test_every_bound_is_at_most_50_times_the_error_of_the_layers_worst_kernel(seqbench):
    errors, bounds = defaultdict(float), {}
    for line in seqbench("check", "--engine", "all").stdout.splitlines():
        found = LINE.match(line)
        assert found, line
        name = found["layer"] + (found["kernel"] if found["kernel"].startswith(".")
                                 or found["layer"] == "roof" else "")
        if found["engine"].endswith(("-bf16", "-int8")):  # whose bounds are their own
            name += f' {found["engine"]}'
        errors[name] = max(errors[name], float(found["error"]))
        bounds[name] = float(found["bound"])
    assert len(bounds) > 30
    loose = {name: bound / errors[name] for name, bound in bounds.items()
             if bound > TIMES * errors[name]}
    assert not loose
