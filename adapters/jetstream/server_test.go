package jetstream

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"viplog/core/log/logtest"
)

func TestRestartOnTheSameStore(t *testing.T) {
	store := t.TempDir()
	first, err := StartServer(ServerOptions{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := StartServer(ServerOptions{Store: store}); err == nil {
		second.Close()
		t.Fatal("two servers on one store")
	}
	nc := connect(t, first)
	l := open(t, nc, Options{Cluster: "a.b"})
	if _, err := l.Append(t.Context(), logtest.NewFact("node.a", 1), 0); err != nil {
		t.Fatal(err)
	}
	before, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	first.Close()

	nc = connect(t, start(t, ServerOptions{Store: store}))
	after, err := open(t, nc, Options{Cluster: "a.b"}).Head(t.Context())
	if err != nil || after != before {
		t.Fatalf("after a restart: %+v, %v; before: %+v", after, err, before)
	}
	if clusters, err := Clusters(t.Context(), nc); err != nil || !slices.Equal(clusters, []string{"a.b"}) {
		t.Fatalf("clusters: %q, %v", clusters, err)
	}
	if _, err := Open(t.Context(), nc, Options{Cluster: "other"}); !errors.Is(err, ErrNoLog) {
		t.Fatalf("opening what is not there: %v", err)
	}
}

func TestNobodyPublishesToAFeed(t *testing.T) {
	denied := make(chan error, 1)
	nc, err := start(t, ServerOptions{}).Connect(nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case denied <- err:
		default:
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	forge(open(t, nc, Options{Cluster: "a"}), "node.a", 1)
	select {
	case err := <-denied:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the publish was not denied")
	}
}

func TestMalformedMessageIsAnEntry(t *testing.T) {
	nc := connect(t, start(t, ServerOptions{}))
	for _, trust := range []bool{true, false} {
		l := open(t, nc, Options{Cluster: map[bool]string{true: "t", false: "f"}[trust], TrustFeed: trust})
		status := nats.NewMsg("viplog." + l.cluster + ".log.node.b")
		status.Header.Set("Status", "404")
		status.Header.Set("Nats-Sequence", "77")
		for _, message := range []*nats.Msg{nats.NewMsg("viplog." + l.cluster + ".log.node.a"), status} {
			if _, err := l.js.PublishMsg(t.Context(), message); err != nil {
				t.Fatal(err)
			}
		}
		next := uint64(1)
		for entry, err := range l.Follow(t.Context(), 0) {
			if err != nil || entry.Sequence != next || entry.Type != "" || entry.Time.IsZero() {
				t.Fatalf("entry %d: %+v, %v", next, entry, err)
			}
			if next++; next > 2 {
				break
			}
		}
	}
}
