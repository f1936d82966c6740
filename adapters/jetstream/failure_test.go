package jetstream

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"viplog/core/log"
	"viplog/core/log/logtest"
)

// A NATS of somebody else's lets everyone publish everywhere: there a push is only a doorbell, and a forged one rings in
// vain.
func TestContractOnAServerWhereAnyoneMayPublishToTheFeed(t *testing.T) {
	open, err := server.NewServer(&server.Options{
		ServerName: "open", JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	open.Start()
	t.Cleanup(func() {
		open.Shutdown()
		open.WaitForShutdown()
	})
	if !open.ReadyForConnections(startPatience) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(open))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	logtest.Run(t, harness(false, nc))
}

// A follower over TCP goes on where it was when its server comes back.
func TestFollowSurvivesARestartOfTheServer(t *testing.T) {
	store := t.TempDir()
	first, err := StartServer(ServerOptions{Store: store, Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(first.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(address.Port())
	nc, err := nats.Connect(first.URL(), nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l := open(t, nc, Options{Cluster: "a", TrustFeed: true})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got := make(chan uint64, 10)
	go func() {
		for entry, err := range l.Follow(ctx, 0) {
			if err != nil {
				return
			}
			got <- entry.Sequence
		}
	}()
	appendAndSee := func(n int, last uint64) {
		t.Helper()
		if _, err := l.Append(ctx, logtest.NewFact("node.a", n), last); err != nil {
			t.Fatal(err)
		}
		select {
		case sequence := <-got:
			if sequence != last+1 {
				t.Fatalf("the follower got %d, want %d", sequence, last+1)
			}
		case <-ctx.Done():
			t.Fatalf("the follower never got %d", last+1)
		}
	}
	appendAndSee(1, 0)
	first.Close()
	start(t, ServerOptions{Store: store, Host: "127.0.0.1", Port: port})
	appendAndSee(2, 1)
}

// While the server is away nobody can say what became of an append. Once it is back the same append settles it.
func TestAppendWithoutAnAnswerIsUnknownUntilItIsRepeated(t *testing.T) {
	l := open(t, connect(t, start(t, ServerOptions{})), Options{Cluster: "a"})
	l.patience = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	fact := logtest.NewFact("node.a", 1)
	stored := false
	_, err := l.settle(ctx, attempt{
		what: "append without answers",
		send: func(ctx context.Context) (uint64, error) {
			_, err := l.js.PublishMsg(ctx, must(l.message(fact)))
			stored = stored || err == nil
			return 0, context.DeadlineExceeded
		},
		find: func(context.Context) (uint64, error) { return 0, context.DeadlineExceeded },
	})
	if !errors.Is(err, log.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) || !stored {
		t.Fatalf("error %v, stored %t; want ErrUnknown and that it is stored", err, stored)
	}
	if sequence, err := l.Append(t.Context(), fact, 0); err != nil || sequence != 1 {
		t.Fatalf("the repeated append: %d, %v; want 1", sequence, err)
	}
}

// A message that pretends to be the server's word that nobody answers is an entry like any other.
func TestForgedStatusStallsNoFollower(t *testing.T) {
	l := open(t, connect(t, start(t, ServerOptions{})), Options{Cluster: "a"})
	forged := nats.NewMsg("viplog.a.log.node.a")
	forged.Header.Set("Status", "503")
	if _, err := l.js.PublishMsg(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), logtest.NewFact("node.b", 1), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for entry, err := range l.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Sequence == 2 {
			break
		}
	}
}

func TestFollowEndsWhenTheConnectionIsClosed(t *testing.T) {
	nc := connect(t, start(t, ServerOptions{}))
	l := open(t, nc, Options{Cluster: "a"})
	time.AfterFunc(50*time.Millisecond, nc.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, err := range l.Follow(ctx, 0) {
		if !errors.Is(err, nats.ErrConnectionClosed) {
			t.Fatalf("error %v, want ErrConnectionClosed", err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
