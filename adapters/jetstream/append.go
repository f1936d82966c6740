package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"viplog/core/event"
	"viplog/core/log"
)

// Codes of the server's API that nats.go does not name.
const (
	codeNoPeers          jetstream.ErrorCode = 10005
	codeNotAvailable     jetstream.ErrorCode = 10008
	codeAlone            jetstream.ErrorCode = 10074 // more replicas than one are asked of a server without a cluster
	codeMessageTooLarge  jetstream.ErrorCode = 10054
	codeWrongLast        jetstream.ErrorCode = 10071
	codeWrongLastPending jetstream.ErrorCode = 10164 // of a replicated stream, with another append under way
)

const retryWait = 50 * time.Millisecond

// attempt is one append or batch: how to send it, and how to read what became of it.
type attempt struct {
	what     string
	subjects []string
	send     func(ctx context.Context) (uint64, error)
	// find gives the sequence if it is stored, ErrConflict if it never can be, 0 if it still may.
	find func(ctx context.Context) (uint64, error)
}

// Append implements log.Log.
func (l *Log) Append(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	message, err := l.message(fact)
	if err != nil {
		return 0, err
	}
	if err := checkSize(fact); err != nil {
		return 0, err
	}
	return l.settle(ctx, attempt{
		what:     "append " + fact.ID,
		subjects: []string{message.Subject},
		send: func(ctx context.Context) (uint64, error) {
			return asked(ctx, func(ctx context.Context) (uint64, error) { return l.publish(ctx, fact, last) })
		},
		find: func(ctx context.Context) (uint64, error) { return l.find(ctx, fact.ID, message.Subject, last) },
	})
}

func (l *Log) publish(ctx context.Context, fact log.Fact, last uint64) (uint64, error) {
	message, err := l.message(fact) // one for each time: publishing writes to it
	if err != nil {
		return 0, err
	}
	ack, err := l.js.PublishMsg(ctx, message,
		jetstream.WithExpectStream(l.stream), jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithMsgID(fact.ID))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// find looks for a fact that was sent under a guard. The guard lets it be the entity's next one only; when another is
// there, it is stored only if an earlier append of it was.
func (l *Log) find(ctx context.Context, id, subject string, last uint64) (uint64, error) {
	next, err := l.get(ctx, getRequest{Sequence: last + 1, NextBySubject: subject})
	switch {
	case err != nil && !errors.Is(err, errNoEntry):
		return 0, err
	case err == nil && next.ID == id:
		return next.Sequence, nil
	}
	passed := err == nil
	for from := uint64(1); ; {
		entries, err := l.fetch(ctx, from, subject)
		if err != nil {
			return 0, err
		}
		for _, entry := range entries {
			if entry.ID == id {
				return entry.Sequence, nil
			}
			from = entry.Sequence + 1
		}
		if len(entries) > 0 {
			continue
		}
		if passed {
			return 0, fmt.Errorf("%w: %s has the fact %d after %d", log.ErrConflict, subject, next.Sequence, last)
		}
		return 0, nil
	}
}

// AppendBatch implements log.Log.
func (l *Log) AppendBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	if len(facts) == 0 {
		return 0, errors.New("jetstream: an empty batch")
	}
	if len(facts) > log.MaxBatch {
		return 0, fmt.Errorf("%w: %d facts, at most %d are allowed", log.ErrTooLarge, len(facts), log.MaxBatch)
	}
	subjects := make([]string, 0, len(facts))
	for _, fact := range facts {
		if err := checkSize(fact); err != nil {
			return 0, err
		}
		message, err := l.message(fact)
		if err != nil {
			return 0, err
		}
		subjects = append(subjects, message.Subject)
	}
	return l.settle(ctx, attempt{
		what:     fmt.Sprintf("batch of %d", len(facts)),
		subjects: subjects,
		send:     func(ctx context.Context) (uint64, error) { return l.sendBatch(ctx, facts, head) },
		find:     func(ctx context.Context) (uint64, error) { return l.findBatch(ctx, facts, head) },
	})
}

func (l *Log) sendBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	messages := make([]*nats.Msg, 0, len(facts))
	for _, fact := range facts {
		message, err := l.message(fact)
		if err != nil {
			return 0, err
		}
		messages = append(messages, message)
	}
	messages[0].Header.Set(jetstream.ExpectedStreamHeader, l.stream)
	messages[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(head, 10))
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.js, messages, jetstreamext.BatchFlowControl{AckFirst: true, AckTimeout: l.patience})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// findBatch needs to read only two facts: a batch is stored whole, at one place.
func (l *Log) findBatch(ctx context.Context, facts []log.Fact, head uint64) (uint64, error) {
	last := head + uint64(len(facts))
	first, err := l.get(ctx, getRequest{Sequence: head + 1})
	if errors.Is(err, errNoEntry) {
		now, headErr := l.Head(ctx)
		if headErr != nil || now.Last <= head {
			return 0, headErr
		}
		// Something was stored after the first read: maybe this very batch.
		if first, err = l.get(ctx, getRequest{Sequence: head + 1}); errors.Is(err, errNoEntry) {
			return 0, fmt.Errorf("%w: it is at %d, not %d", log.ErrConflict, now.Last, head)
		}
	}
	if err != nil {
		return 0, err
	}
	end, err := l.get(ctx, getRequest{Sequence: last})
	if err != nil && !errors.Is(err, errNoEntry) {
		return 0, err
	}
	if first.ID == facts[0].ID && end.ID == facts[len(facts)-1].ID {
		return last, nil
	}
	return 0, fmt.Errorf("%w: %s is at %d, not %s", log.ErrConflict, first.ID, head+1, facts[0].ID)
}

// settle sends until it is known whether the facts are stored, and reads before it sends again.
func (l *Log) settle(ctx context.Context, a attempt) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	open := false // whether anything that was sent may still be stored
	for {
		sequence, err := l.once(ctx, a)
		if err == nil {
			return sequence, nil
		}
		refused, final := refusal(err)
		if denied := l.forbidden(a.subjects); denied != nil {
			refused, final = true, denied
		}
		if final != nil && (open || errors.Is(final, nats.ErrConnectionClosed)) {
			return 0, fmt.Errorf("jetstream: %s: %w: %w", a.what, log.ErrUnknown, final)
		}
		if final != nil {
			return 0, fmt.Errorf("jetstream: %s: %w", a.what, final)
		}
		open = open || !errors.Is(err, nats.ErrNoResponders) && !refused
		found, findErr := a.find(ctx)
		switch {
		case findErr == nil && found > 0:
			return found, nil
		case errors.Is(findErr, log.ErrConflict):
			return 0, fmt.Errorf("jetstream: %s: %w", a.what, findErr)
		case findErr == nil && isConflict(err) && !(open && isPending(err)):
			return 0, fmt.Errorf("jetstream: %s: %w: %w", a.what, log.ErrConflict, err)
		}
		l.logger.Info("an append is open", "what", a.what, "error", err, "read", findErr)
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			if open || isConflict(err) {
				return 0, fmt.Errorf("jetstream: %s: %w: %w", a.what, log.ErrUnknown, ctx.Err())
			}
			return 0, fmt.Errorf("jetstream: %s: %w: %w", a.what, ctx.Err(), err)
		}
	}
}

func (l *Log) once(ctx context.Context, a attempt) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	if l.loseRequest.CompareAndSwap(true, false) {
		return 0, context.DeadlineExceeded
	}
	go func() { // an append that is forbidden has no answer
		for ctx.Err() == nil && l.forbidden(a.subjects) == nil {
			select {
			case <-ctx.Done():
			case <-time.After(askAgain / 2):
			}
		}
		cancel()
	}()
	sequence, err := a.send(ctx)
	if l.loseAck.CompareAndSwap(true, false) {
		return 0, context.DeadlineExceeded
	}
	return sequence, err
}

// forbidden tells that the server refused the user one of the subjects. It says so beside the answers, of which there is none then,
// and stores nothing; of a batch neither. What it said before the connection was made anew is forgotten.
func (l *Log) forbidden(subjects []string) error {
	if l.nc == nil || !l.denied() {
		return nil
	}
	text := strings.ToLower(l.nc.LastError().Error())
	for _, subject := range subjects {
		if strings.Contains(text, fmt.Sprintf("publish to %q", strings.ToLower(subject))) {
			return fmt.Errorf("%w: %s", ErrForbidden, subject)
		}
	}
	return nil
}

// refusal says whether the server said no, and gives the error if asking again is pointless.
func refusal(err error) (bool, error) {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, nats.ErrMaxPayload) {
			return true, fmt.Errorf("%w: %w", log.ErrTooLarge, err)
		}
		if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubject) {
			return true, err
		}
		return false, nil
	}
	switch {
	case isConflict(err), api.Code == 503, api.ErrorCode == jetstreamext.JSErrCodeBatchPublishIncomplete,
		api.ErrorCode == jetstreamext.JSErrCodeAtomicPublishTooManyInflight:
		return true, nil
	case api.ErrorCode == codeMessageTooLarge, api.ErrorCode == jetstreamext.JSErrCodeBatchPublishExceedsLimit:
		return true, fmt.Errorf("%w: %w", log.ErrTooLarge, err)
	}
	return true, err
}

func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == codeWrongLast || api.ErrorCode == codeWrongLastPending ||
		api.ErrorCode == jetstreamext.JSErrCodeBatchPublishDuplicateMsgID)
}

// isPending tells whether the server refuses because another append for the same guard is under way: this very one, perhaps, as it was
// sent before.
func isPending(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeWrongLastPending
}

func checkSize(fact log.Fact) error {
	if len(fact.Data) > event.MaxDataBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", log.ErrTooLarge, len(fact.Data), event.MaxDataBytes)
	}
	return nil
}
