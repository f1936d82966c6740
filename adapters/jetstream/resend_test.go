package jetstream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatHasNoAnswerIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times atomic.Int32
		began := time.Now()
		got, err := asked(t.Context(), func(ctx context.Context) (int32, error) {
			n := times.Add(1)
			if n < 3 {
				<-ctx.Done() // lost
			}
			return n, ctx.Err()
		})
		if waited := time.Since(began); got != 3 || err != nil || waited != 2*askAgain {
			t.Errorf("%d, %v after %v", got, err, waited)
		}
	})
}

func TestASlowAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := asked(t.Context(), func(context.Context) (int, error) {
			time.Sleep(5 * askAgain)
			return 0, nil
		})
		if waited := time.Since(began); err != nil || waited != 5*askAgain {
			t.Errorf("%v after %v", err, waited)
		}
		time.Sleep(5 * askAgain)
	})
}

func TestAnErrorIsAnAnswer(t *testing.T) {
	refused := errors.New("refused")
	if _, err := asked(t.Context(), func(context.Context) (int, error) { return 0, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
}

func TestARefusalSaysNothingOfWhatWasAskedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times atomic.Int32
		got, err := asked(t.Context(), func(context.Context) (int32, error) {
			n := times.Add(1)
			if n > 1 {
				return 0, errors.New("refused, for the first is under way")
			}
			time.Sleep(5 * askAgain)
			return n, nil
		})
		if got != 1 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}

func TestAskingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := asked(ctx, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
