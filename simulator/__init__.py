"""A deterministic tutoring marketplace for demos, tests and training, which speaks only through the public API.

`population` says who lives in it, `rhythm` when they are active, `truth` what is going to happen to them (never part of an
event), `market` how subject and region stand, `history` and `live` turn that into events, `scenarios` disturb it, `faults`
spoil its delivery, `run` posts it. Every choice comes from the seed; times are passed in.
"""
