package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/log"
)

// An append that is sent again while the server still works on it is refused as pending: that is no conflict.
func TestAnAppendThatIsPendingIsNoConflict(t *testing.T) {
	pending := &jetstream.APIError{Code: 400, ErrorCode: codeWrongLastPending}
	wrong := &jetstream.APIError{Code: 400, ErrorCode: codeWrongLast}
	for _, test := range []struct {
		name     string
		sends    []error  // the answers, in turn
		finds    []uint64 // what is read after each of them
		sequence uint64
		err      error
	}{
		{"its own, stored at last", []error{context.DeadlineExceeded, pending, pending}, []uint64{0, 0, 7}, 7, nil},
		{"its own, and lost at last", []error{context.DeadlineExceeded, pending, wrong}, []uint64{0, 0, 0}, 0, log.ErrConflict},
		{"another's", []error{pending}, []uint64{0}, 0, log.ErrConflict},
	} {
		l := &Log{logger: slog.New(slog.DiscardHandler), patience: time.Second}
		sent := 0
		sequence, err := l.settle(t.Context(), attempt{
			what: test.name,
			send: func(context.Context) (uint64, error) {
				sent++
				return 0, test.sends[sent-1]
			},
			find: func(context.Context) (uint64, error) { return test.finds[sent-1], nil },
		})
		if sequence != test.sequence || !errors.Is(err, test.err) || sent != len(test.sends) {
			t.Errorf("%s: %d, %v after %d sends", test.name, sequence, err, sent)
		}
	}
}
