package agent

import (
	"context"

	"viplog/core/lease"
	"viplog/core/ledger"
)

// digester digests ledgers in the background, only the newest of those that wait.
type digester struct {
	next chan *ledger.State
	done func(lease.Digest)
}

func newDigester(done func(lease.Digest)) *digester {
	return &digester{next: make(chan *ledger.State, 1), done: done}
}

// digest is called by one goroutine.
func (d *digester) digest(s *ledger.State) {
	select {
	case <-d.next:
	default:
	}
	d.next <- s
}

func (d *digester) run(ctx context.Context) {
	for {
		select {
		case s := <-d.next:
			d.done(lease.DigestOf(s))
		case <-ctx.Done():
			return
		}
	}
}
