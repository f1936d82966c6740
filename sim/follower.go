package sim

import (
	"errors"

	"viplog/core/ledger"
	"viplog/core/log"
)

// follower folds a log for a process and its machine.
type follower struct {
	*process
	log      LogClient
	ledger   func() *ledger.State // the machine's; nil while there is no machine
	restored func(*ledger.State)  // goes on from a snapshot
	fold     func(log.Entry)
	replaced func() // the log is another one, or cannot be followed further
}

// foldedOf is how far a machine has folded the log.
func foldedOf(of func() *ledger.State) func() uint64 {
	return func() uint64 {
		if s := of(); s != nil {
			return s.Sequence()
		}
		return 0
	}
}

// follow folds from a snapshot on; nil: from the first fact.
func (f follower) follow(from *ledger.State) {
	after := uint64(0)
	if from != nil {
		after = from.Sequence()
		from.FoldAs(f.host.binary())
		f.do(func() { f.restored(from) })
	}
	f.log.Follow(after, func(e log.Entry) {
		f.do(func() {
			if s := f.ledger(); s != nil && f.host.reads(s, e) {
				f.fold(e)
			}
		})
	}, func(err error) {
		f.do(func() {
			if snapshot := f.host.world.snapshot; snapshot != nil && errors.Is(err, log.ErrPurged) && f.ledger() != nil {
				f.follow(snapshot.Clone())
				return
			}
			f.replaced()
		})
	})
}
