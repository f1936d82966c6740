package jetstream

import (
	"context"
	"time"
)

// askAgain is after how long a request that has no answer yet is sent again. One that meets a stream without a leader is lost
// without a word, and an election takes 4 to 8 s; an answer takes milliseconds.
const askAgain = 100 * time.Millisecond

// asked asks, asks again while there is no answer, and gives the first value. An error counts when nothing else that was asked may
// still be done: that an append is refused says nothing of the same one before it. What is asked must be harmless to repeat: a read
// is, and an append under its guard.
func asked[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer)
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for open := 0; ; {
		open++
		go func() {
			value, err := ask(ctx)
			select {
			case answers <- answer{value, err}:
			case <-ctx.Done():
			}
		}()
		for asking := false; !asking; {
			select {
			case a := <-answers:
				if open--; a.err == nil || open == 0 {
					return a.value, a.err
				}
			case <-again.C:
				asking = true
			case <-ctx.Done():
				var none T
				return none, ctx.Err()
			}
		}
	}
}
