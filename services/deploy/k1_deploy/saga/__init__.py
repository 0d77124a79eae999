r"""The saga of a deployment: pure, with an event log as its state.

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

Before the first activation no device has changed its show: turning back discards what was staged. From the first
activation on, every device that was sent an activation is rolled back, the newest batch first. `rollback_pending`
lasts until the last unreachable device has reconnected and was reconciled.

* `entries` are the entries of the log; `transitions` computes the state and rejects illegal entries;
* `device` and `state` are the state, with the tables of legal transitions;
* `steps` says what is due; `execution` what the executor does next; `signals` what a signal means;
* `reply_checks` checks replies of devices; `strategy` makes batches; `downbeats` finds the moment of a downbeat;
* `timeline` turns the log into what people read.
"""
