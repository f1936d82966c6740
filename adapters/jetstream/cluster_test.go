package jetstream

import (
	"context"
	"sync"
	"testing"
	"time"

	"viplog/core/log/logtest"
)

// run starts some of the servers, at one time.
func (c *trio) run(t *testing.T, which ...int) []*Server {
	t.Helper()
	servers := make([]*Server, len(which))
	for i, n := range which {
		servers[i] = start(t, c.options[n])
	}
	return servers
}

// Three servers that are new make one log, whoever comes first. Later two of them are enough.
func TestContractOnThreeServersWithTLSAndUsers(t *testing.T) {
	t.Parallel()
	ca, me := newAuthority(t), newPerson(t)
	cluster := newTrio(t, ca, []User{{Key: me.key, Permissions: everything(me.key, "race", "c.test")}})
	servers := cluster.run(t, 0, 1, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var made sync.WaitGroup
	ids := make([]string, len(servers))
	for i, server := range servers {
		nc := me.connect(t, server.URL(), ca.config(t))
		made.Go(func() {
			l, err := Open(ctx, nc, Options{Cluster: "race", Create: true, Replicas: 3, TrustFeed: true})
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			head, err := l.Head(ctx)
			if ids[i] = head.ID; err != nil {
				t.Errorf("server %d: %v", i, err)
			}
		})
	}
	made.Wait()
	if ids[0] == "" || ids[0] != ids[1] || ids[0] != ids[2] {
		t.Fatalf("the log was made at %q", ids)
	}

	logtest.Run(t, guarded(me.connect(t, servers[0].URL(), ca.config(t)), connect(t, servers[0]), 3))

	for _, server := range servers {
		server.Close()
	}
	again, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	servers = cluster.run(t, 0, 2)
	l, err := Open(again, me.connect(t, servers[1].URL(), ca.config(t)), Options{Cluster: "race", Create: true, Replicas: 3, TrustFeed: true})
	if err != nil {
		t.Fatalf("two of three: %v", err)
	}
	if sequence, err := l.Append(again, logtest.NewFact("node.a", 1), 0); err != nil || sequence != 1 {
		t.Fatalf("two of three: %d, %v", sequence, err)
	}
	if info := must(l.js.Stream(again, l.stream)).CachedInfo(); info.Config.Replicas != 3 {
		t.Fatalf("it has %d replicas", info.Config.Replicas)
	}
}

// A log of one server gets the replicas of three when there are three.
func TestALogGetsTheReplicasThatAreWanted(t *testing.T) {
	t.Parallel()
	ca, me := newAuthority(t), newPerson(t)
	servers := newTrio(t, ca, []User{{Key: me.key, Permissions: everything(me.key, "a")}}).run(t, 0, 1, 2)
	nc := me.connect(t, servers[0].URL(), ca.config(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, replicas := range []int{1, 3, 1} {
		l, err := Open(ctx, nc, Options{Cluster: "a", Create: true, Replicas: replicas})
		if err != nil {
			t.Fatal(err)
		}
		if got := must(l.js.Stream(ctx, l.stream)).CachedInfo().Config.Replicas; replicas == 3 && got != 3 {
			t.Fatalf("it has %d replicas, not 3", got)
		} else if _, err := l.Append(ctx, logtest.NewFact("node.a", 1), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// Two of three new servers are no cluster yet: opening the log waits for the third.
func TestOpeningWaitsForAClusterThatForms(t *testing.T) {
	t.Parallel()
	ca, me := newAuthority(t), newPerson(t)
	cluster := newTrio(t, ca, []User{{Key: me.key, Permissions: everything(me.key, "a")}})
	nc := me.connect(t, cluster.run(t, 0, 1)[0].URL(), ca.config(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		_, err := Open(ctx, nc, Options{Cluster: "a", Create: true, Replicas: 3})
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("two new servers opened the log: %v", err)
	case <-time.After(6 * time.Second): // longer than one request may take, and than most elections
	}
	cluster.run(t, 2)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}
