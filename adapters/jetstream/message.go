package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/log"
)

// The headers of a fact follow CloudEvents' binding for NATS.
const (
	headerVersion = "ce-specversion"
	headerID      = "ce-id"
	headerSource  = "ce-source"
	headerType    = "ce-type"
	headerRules   = "ce-rules"
)

func (l *Log) message(fact log.Fact) (*nats.Msg, error) {
	subject, err := l.subject(fact.Entity)
	if err != nil {
		return nil, err
	}
	message := nats.NewMsg(subject)
	message.Data = fact.Data
	for header, value := range map[string]string{
		headerVersion: "1.0", headerID: fact.ID, headerSource: fact.Source, headerType: fact.Type,
		headerRules: strconv.FormatUint(fact.Rules, 10), jetstream.MsgIDHeader: fact.ID,
	} {
		if value == "" || strings.TrimSpace(value) != value || strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("jetstream: %q cannot be the %s of a fact", value, header)
		}
		message.Header.Set(header, value)
	}
	return message, nil
}

// entry reads what is stored. It takes any message: one that is no fact has no type, and the ledger rejects it.
//
// A stored message that names a stream is no fact, however much it looks like one. It is an answer of the server's to a read whose
// reply subject was an entity of the log: the server asks nobody for the right to be answered there, and by that a host
// could put the text of its choice, or what was true once, under any entity.
func (l *Log) entry(subject string, sequence uint64, at time.Time, header nats.Header, data []byte, streams int) log.Entry {
	entry := log.Entry{Sequence: sequence, Time: at.UTC()}
	entry.Entity = strings.TrimPrefix(subject, "viplog."+l.cluster+".log.")
	entry.Data = data
	entry.ID, entry.Source, entry.Type = header.Get(headerID), header.Get(headerSource), header.Get(headerType)
	rules, err := strconv.ParseUint(header.Get(headerRules), 10, 64)
	if entry.Rules = rules; err != nil || streams > 0 {
		entry.Rules, entry.Type = 0, ""
		l.logger.Warn("a message in the log is no fact", "sequence", sequence, "subject", subject)
	}
	return entry
}

// delivered reads a push or a direct get. The server puts its own headers after the appender's, so the last counts.
func (l *Log) delivered(message *nats.Msg) (log.Entry, bool) {
	last := func(name string) string {
		values := message.Header.Values(name)
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	sequence, err := strconv.ParseUint(last(jetstream.SequenceHeader), 10, 64)
	if err != nil || sequence == 0 || last(jetstream.StreamHeader) != l.stream {
		return log.Entry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, last(jetstream.TimeStampHeaer))
	if err != nil {
		return log.Entry{}, false
	}
	stored := len(message.Header.Values(jetstream.StreamHeader)) - 1 // one is of this delivery
	return l.entry(last(jetstream.SubjectHeader), sequence, at, message.Header, message.Data, stored), true
}

// getRequest asks the stream's leader for one message, or, with a batch, any replica for some.
type getRequest struct {
	Sequence      uint64 `json:"seq,omitempty"`
	NextBySubject string `json:"next_by_subj,omitempty"`
	LastBySubject string `json:"last_by_subj,omitempty"`
	Batch         int    `json:"batch,omitempty"`
	MaxBytes      int    `json:"max_bytes,omitempty"`
}

var errNoEntry = errors.New("jetstream: no such entry")

// get reads one entry from the leader; a replica could be behind.
func (l *Log) get(ctx context.Context, request getRequest) (log.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return log.Entry{}, fmt.Errorf("jetstream: %w", err)
	}
	reply, err := asked(ctx, func(ctx context.Context) (*nats.Msg, error) {
		return l.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+l.stream, body)
	})
	if err != nil {
		return log.Entry{}, fmt.Errorf("jetstream: read %s: %w", l.stream, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return log.Entry{}, fmt.Errorf("jetstream: read %s: %w", l.stream, err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return log.Entry{}, errNoEntry
		}
		return log.Entry{}, fmt.Errorf("jetstream: read %s: %w", l.stream, answer.Error)
	}
	m := answer.Message
	header, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		header = nil // no fact then, but an entry
	}
	return l.entry(m.Subject, m.Sequence, m.Time, header, m.Data, len(header.Values(jetstream.StreamHeader))), nil
}

const (
	fetchCount = 1000
	fetchBytes = 4 << 20
)

// fetch reads some entries from the sequence on, of one subject or of all (""), from whichever replica answers; none if
// it has none there.
func (l *Log) fetch(ctx context.Context, from uint64, subject string) ([]log.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	inbox := l.nc.NewRespInbox()
	// Not SubscribeSync: its NextMsg takes a stored message with a "Status: 503" of its writer's and no body for "no
	// responders" and keeps it, so that nobody could follow past it.
	answers := make(chan *nats.Msg, fetchCount+1)
	subscription, err := l.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("jetstream: fetch: %w", err)
	}
	defer func() { _ = subscription.Unsubscribe() }()
	request, err := json.Marshal(getRequest{Sequence: from, NextBySubject: subject, Batch: fetchCount, MaxBytes: fetchBytes})
	if err != nil {
		return nil, fmt.Errorf("jetstream: fetch: %w", err)
	}
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+l.stream, inbox, request); err != nil {
		return nil, fmt.Errorf("jetstream: fetch: %w", err)
	}
	var entries []log.Entry
	for {
		var answer *nats.Msg
		select {
		case answer = <-answers:
		case <-ctx.Done():
			if len(entries) > 0 {
				return entries, nil
			}
			return nil, fmt.Errorf("jetstream: fetch %d: %w", from, ctx.Err())
		}
		if entry, ok := l.delivered(answer); ok {
			entries = append(entries, entry)
			continue
		}
		switch answer.Header.Get("Status") {
		case "204", "404":
			return entries, nil
		case "503":
			return nil, fmt.Errorf("jetstream: fetch %d: %w", from, nats.ErrNoResponders)
		}
		if len(entries) > 0 {
			return entries, nil
		}
		entry, err := l.get(ctx, getRequest{Sequence: from, NextBySubject: subject}) // its headers cannot be read
		if errors.Is(err, errNoEntry) {
			return nil, nil
		}
		return []log.Entry{entry}, err
	}
}
