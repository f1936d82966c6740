package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/log"
	"viplog/core/log/logtest"
)

func start(t *testing.T, o ServerOptions) *Server {
	t.Helper()
	if o.Store == "" {
		o.Store = t.TempDir()
	}
	server, err := StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, server *Server) *nats.Conn {
	t.Helper()
	nc, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func open(t *testing.T, nc *nats.Conn, o Options) *Log {
	t.Helper()
	o.Create = true
	l, err := Open(t.Context(), nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var clusters atomic.Uint64

// harness makes a fresh log, of a new cluster, on the server behind the connection.
func harness(trust bool, nc *nats.Conn) func(t *testing.T) logtest.Harness {
	return func(t *testing.T) logtest.Harness {
		l := open(t, nc, Options{Cluster: fmt.Sprintf("c-%d.test", clusters.Add(1)), TrustFeed: trust})
		return logtest.Harness{
			Log:             l,
			LoseNextAck:     func() { l.loseAck.Store(true) },
			LoseNextRequest: func() { l.loseRequest.Store(true) },
			ForgePush:       func(entity string, sequence uint64) { forge(l, entity, sequence) },
			Replace: func() {
				ctx := context.Background()
				if err := l.js.DeleteStream(ctx, l.stream); err != nil {
					t.Error(err)
				}
				if _, err := l.js.CreateStream(ctx, l.config()); err != nil {
					t.Error(err)
				}
			},
		}
	}
}

// guarded makes a fresh log in the place of the last one: for a user whose rights are those of one cluster.
// A stream that stays keeps the folder of streams: nats-server removes one that is empty after it has answered that the last stream is
// deleted, and a creation that comes in between fails.
func guarded(nc, admin *nats.Conn, replicas int) func(t *testing.T) logtest.Harness {
	const cluster = "c.test"
	js := must(jetstream.New(admin))
	must(js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "stays", Subjects: []string{"stays"}, Replicas: replicas}))
	return func(t *testing.T) logtest.Harness {
		remove := func() {
			if err := js.DeleteStream(context.Background(), "viplog-c_test"); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Error(err)
			}
		}
		remove()
		l := open(t, nc, Options{Cluster: cluster, TrustFeed: true, Replicas: replicas})
		return logtest.Harness{
			Log:             l,
			LoseNextAck:     func() { l.loseAck.Store(true) },
			LoseNextRequest: func() { l.loseRequest.Store(true) },
			ForgePush:       func(entity string, sequence uint64) { forge(l, entity, sequence) },
			Replace: func() {
				remove()
				if _, err := js.CreateStream(context.Background(), l.config()); err != nil {
					t.Error(err)
				}
			},
		}
	}
}

func forge(l *Log, entity string, sequence uint64) {
	message, err := l.message(logtest.NewFact(entity, 1))
	if err != nil {
		panic(err)
	}
	message.Subject = "viplog." + l.cluster + ".feed." + entity
	message.Header.Set(jetstream.StreamHeader, l.stream)
	message.Header.Set(jetstream.SubjectHeader, "viplog."+l.cluster+".log."+entity)
	message.Header.Set(jetstream.SequenceHeader, strconv.FormatUint(sequence, 10))
	message.Header.Set(jetstream.TimeStampHeaer, "2026-01-01T00:00:00Z")
	_ = l.nc.PublishMsg(message)
}

func TestContractInProcess(t *testing.T) {
	nc := connect(t, start(t, ServerOptions{}))
	for name, trust := range map[string]bool{"feed": true, "doorbell": false} {
		t.Run(name, func(t *testing.T) { logtest.Run(t, harness(trust, nc)) })
	}
}

func TestContractTCP(t *testing.T) {
	server := start(t, ServerOptions{Host: "127.0.0.1", Port: -1})
	if _, _, err := net.SplitHostPort(server.URL()[len("nats://"):]); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	logtest.Run(t, harness(true, nc))
}

func TestContractWithTLSAndUsers(t *testing.T) {
	t.Parallel()
	ca, me := newAuthority(t), newPerson(t)
	server := start(t, ServerOptions{
		Host: "127.0.0.1", TLS: ca.config(t), Users: []User{{Key: me.key, Permissions: everything(me.key, "c.test")}},
	})
	logtest.Run(t, guarded(me.connect(t, server.URL(), ca.config(t)), connect(t, server), 1))
}

func TestALogThatIsDeletedIsMadeAnewByWhoMayMakeIt(t *testing.T) {
	t.Parallel()
	nc := connect(t, start(t, ServerOptions{}))
	maker := open(t, nc, Options{Cluster: "c.test"})
	reader := must(Open(t.Context(), nc, Options{Cluster: "c.test"}))
	if _, err := maker.Append(t.Context(), logtest.NewFact("node.a", 1), 0); err != nil {
		t.Fatal(err)
	}
	before := must(maker.Head(t.Context()))
	if err := maker.js.DeleteStream(t.Context(), maker.stream); err != nil {
		t.Fatal(err)
	}
	if head, err := reader.Head(t.Context()); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatalf("who may not make the log finds %+v, %v", head, err)
	}
	var after log.Head
	for deadline := time.Now().Add(5 * time.Second); ; { // nats-server removes the folder of its last stream late, in which a creation may fail
		var err error
		if after, err = maker.Head(t.Context()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if after.ID == before.ID || after.Last != 0 {
		t.Errorf("the log is %+v, and was %+v before it was deleted", after, before)
	}
	if again := must(reader.Head(t.Context())); again != after {
		t.Errorf("others find %+v", again)
	}
}
