// Package jetstream keeps a cluster's log in a NATS JetStream stream, on an embedded server or any other.
//
// One subject per entity (`viplog.<cluster>.log.<entity>`) carries the guards; the stream's RePublish to
// `viplog.<cluster>.feed.>` pushes entries to followers, which fill gaps by batched Direct Get and so hold no state
// on the server.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/event"
	"viplog/core/log"
)

// Options say which log to open, and how.
type Options struct {
	Cluster   string
	Create    bool         // make the stream if it does not exist
	Replicas  int          // of a stream that is made; 0 means 1
	TrustFeed bool         // the server lets nobody publish to the feed; otherwise a push is only a doorbell
	Logger    *slog.Logger // nil: silent
}

// Log is a log.Log in a stream.
type Log struct {
	js      jetstream.JetStream
	nc      *nats.Conn
	options Options
	cluster string // as a token
	stream  string
	logger  *slog.Logger

	patience time.Duration // how long one answer may take

	// For tests: lose the next request before it is sent, or its answer.
	loseRequest, loseAck atomic.Bool
}

var _ log.Log = (*Log)(nil)

var (
	// ErrNoLog marks a cluster without a stream.
	ErrNoLog = errors.New("jetstream: no such log")
	// ErrForbidden marks an append that the connection's user has no right to, or a log that it may not open.
	ErrForbidden = errors.New("jetstream: this user may not do that")
	// ErrUnfit marks a stream whose settings break a promise of the log.
	ErrUnfit = errors.New("jetstream: the stream is not fit to be a log")
)

const (
	streamPrefix   = "viplog-"
	maxHeaderBytes = 8 << 10
	duplicates     = 10 * time.Minute
)

func logSubjects(cluster string) string  { return "viplog." + cluster + ".log.>" }
func feedSubjects(cluster string) string { return "viplog." + cluster + ".feed.>" }

// Open opens a cluster's log. It leaves the connection to the caller.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Log, error) {
	token := event.EscapeToken(o.Cluster)
	if token == "" || strings.ContainsAny(token, `/\`) {
		return nil, fmt.Errorf("jetstream: %q cannot be the name of a cluster", o.Cluster)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	l := &Log{
		js: js, nc: nc, options: o, cluster: token, stream: streamPrefix + token,
		logger: o.Logger, patience: 2 * time.Second,
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	stream, err := l.opened(ctx)
	if err != nil {
		return nil, fmt.Errorf("jetstream: open %s: %w", l.stream, err)
	}
	if err := l.fit(stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	return l, nil
}

// opened finds the stream, or makes it. Who may make it waits, as long as the context lets it, for servers that are still becoming a
// cluster: three new ones have to see each other once, later two are enough.
func (l *Log) opened(ctx context.Context) (jetstream.Stream, error) {
	if !l.options.Create {
		stream, err := l.js.Stream(ctx, l.stream)
		if isForming(err) && l.denied() {
			err = fmt.Errorf("%w: %w", ErrForbidden, l.nc.LastError())
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, fmt.Errorf("%w: %s", ErrNoLog, l.options.Cluster)
		}
		return stream, err
	}
	for {
		stream, err := l.made(ctx)
		if err == nil || ctx.Err() != nil || !isForming(err) {
			return stream, err
		}
		if l.denied() {
			return nil, fmt.Errorf("%w: %w", ErrForbidden, l.nc.LastError())
		}
		l.logger.Info("no NATS server can open the log yet", "stream", l.stream, "error", err)
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// made finds the stream, else makes it, and gives it the replicas that are wanted. Of those who make it at one time one does, and
// the others take that.
func (l *Log) made(ctx context.Context) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	stream, err := l.js.Stream(ctx, l.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config := l.config()
		stream, err = l.js.CreateStream(ctx, config)
		if isAlone(err) { // a NATS of somebody else's may be one server; what follows warns of it
			config.Replicas = 1
			stream, err = l.js.CreateStream(ctx, config)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = l.js.Stream(ctx, l.stream)
		}
	}
	if err != nil {
		return nil, err
	}
	if config := stream.CachedInfo().Config; config.Replicas < l.options.Replicas && l.fit(config) == nil {
		config.Replicas = l.options.Replicas
		if _, err := l.js.UpdateStream(ctx, config); err != nil { // the log is there, and the next who opens it tries again
			l.logger.Warn("the log has fewer replicas than it should", "stream", l.stream, "wanted", l.options.Replicas, "error", err)
		}
	}
	return stream, nil
}

// isAlone says whether a server has no others that could have replicas.
func isAlone(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeAlone
}

// isForming says whether nobody could answer, which changes when servers of the cluster have chosen a leader.
func isForming(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.As(err, &api) && (api.ErrorCode == codeNotAvailable || api.ErrorCode == codeNoPeers)
}

// denied says whether the server has refused the user something since the connection was made.
func (l *Log) denied() bool { return errors.Is(l.nc.LastError(), nats.ErrPermissionViolation) }

func (l *Log) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        l.stream,
		Description: "viplog: the facts of cluster " + l.options.Cluster,
		Subjects:    []string{logSubjects(l.cluster)},
		Storage:     jetstream.FileStorage,
		Replicas:    max(l.options.Replicas, 1),
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Duplicates:  duplicates,
		MaxMsgSize:  event.MaxDataBytes + maxHeaderBytes,
		DenyDelete:  true,
		AllowDirect: true,
		RePublish:   &jetstream.RePublish{Source: logSubjects(l.cluster), Destination: feedSubjects(l.cluster)},

		AllowAtomicPublish: true,
	}
}

// fit says what is wrong with a stream that somebody else made.
func (l *Log) fit(c jetstream.StreamConfig) error {
	var faults []string
	fault := func(wrong bool, what string) {
		if wrong {
			faults = append(faults, what)
		}
	}
	fault(!slices.Equal(c.Subjects, []string{logSubjects(l.cluster)}), "its subjects are not "+logSubjects(l.cluster))
	fault(c.Storage != jetstream.FileStorage, "it is not in files")
	fault(c.Retention != jetstream.LimitsPolicy, "it drops what was read")
	fault(c.MaxMsgs > 0 || c.MaxBytes > 0 && c.Discard == jetstream.DiscardOld || c.MaxAge > 0 || c.MaxMsgsPerSubject > 0, "it drops old entries")
	fault(c.AllowMsgTTL || c.AllowRollup || c.AllowMsgSchedules || c.AllowMsgCounter, "a writer can drop or make entries by headers")
	fault(c.SubjectTransform != nil || c.Mirror != nil || len(c.Sources) > 0, "its entries come from other subjects")
	fault(!c.AllowDirect, "it has no direct get")
	fault(!c.AllowAtomicPublish, "it has no atomic batches")
	fault(c.RePublish == nil || c.RePublish.Destination != feedSubjects(l.cluster) || c.RePublish.HeadersOnly, "it has no feed")
	if len(faults) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrUnfit, l.stream, strings.Join(faults, "; "))
	}
	return nil
}

// Clusters lists the clusters that have a log, sorted.
func Clusters(ctx context.Context, nc *nats.Conn) ([]string, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	var clusters []string
	names := js.StreamNames(ctx, jetstream.WithStreamListSubject(logSubjects("*")))
	for name := range names.Name() {
		token, ours := strings.CutPrefix(name, streamPrefix)
		if cluster, err := event.UnescapeToken(token); ours && err == nil {
			clusters = append(clusters, cluster)
		}
	}
	if err := names.Err(); err != nil {
		return nil, fmt.Errorf("jetstream: list the logs: %w", err)
	}
	slices.Sort(clusters)
	return clusters, nil
}

// Head implements log.Log. Who may make the log makes another one where it has been deleted: each who follows it notices, and begins anew.
func (l *Log) Head(ctx context.Context) (log.Head, error) {
	stream, err := l.js.Stream(ctx, l.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && l.options.Create {
		l.logger.Error("the log has been deleted with all its facts: another one begins", "stream", l.stream)
		stream, err = l.made(ctx)
	}
	if err != nil {
		return log.Head{}, fmt.Errorf("jetstream: head of %s: %w", l.stream, err)
	}
	info := stream.CachedInfo()
	head := log.Head{ID: info.Created.UTC().Format(time.RFC3339Nano), First: info.State.FirstSeq, Last: info.State.LastSeq}
	if info.State.Msgs == 0 {
		head.First = head.Last + 1
	}
	return head, nil
}

// LastOf implements log.Log.
func (l *Log) LastOf(ctx context.Context, entity string) (uint64, error) {
	subject, err := l.subject(entity)
	if err != nil {
		return 0, err
	}
	entry, err := l.get(ctx, getRequest{LastBySubject: subject})
	if errors.Is(err, errNoEntry) {
		return 0, nil
	}
	return entry.Sequence, err
}

// Purge implements log.Log.
func (l *Log) Purge(ctx context.Context, through uint64) error {
	stream, err := l.js.Stream(ctx, l.stream)
	if err != nil {
		return fmt.Errorf("jetstream: purge %s: %w", l.stream, err)
	}
	state := stream.CachedInfo().State
	through = min(through, state.LastSeq)
	if through < max(state.FirstSeq, 1) {
		return nil // the server takes "before 1" for everything
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(through+1)); err != nil {
		return fmt.Errorf("jetstream: purge %s: %w", l.stream, err)
	}
	return nil
}

func (l *Log) subject(entity string) (string, error) {
	if strings.ContainsAny(entity, "*> \t\r\n") || slices.Contains(strings.Split(entity, "."), "") {
		return "", fmt.Errorf("jetstream: %q cannot be an entity", entity)
	}
	return "viplog." + l.cluster + ".log." + entity, nil
}
