r"""The saga of a deployment: pure, and told as a log.

```
queued -> checking -> staging -> activating -> observing -> committing -> succeeded
   |          |          |        ^   |  \__________|            |            |
   |          |          |        |   |   (batch by batch)       |            |
   '----------'----------'--------|---'                          |            |
                |                 '-------------.                |            |
                v                                v               |            |
           discarding                       rolling_back <-------'------------'
            |      |                          |       |
         failed  cancelled             rolled_back <- rollback_pending
```

Left of the first activation nothing on stage has changed: what was staged is discarded. From the first
activation on, every device that was told to activate goes back to what it ran before, the newest batch first.
`rollback_pending` lasts until the last device that could not be reached has come back and been put right.

* `entries` are the records of the log, `transitions` what each does to the state, and when it is illegal;
* `device` and `state` are that state, with the tables of legal transitions;
* `steps` says what is due; `signals` what news from outside means; `verdicts` what a device's answer is worth;
* `strategy` makes batches, `bar_line` finds the moment of a downbeat, `timeline` tells the log to people.
"""
