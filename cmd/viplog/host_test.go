package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	natsjetstream "github.com/nats-io/nats.go/jetstream"
	"go.uber.org/fx"

	"viplog/adapters/identity"
	"viplog/core/log"
)

// loneCluster has one host, which can be controller and voter.
const loneCluster = `
apiVersion: baremetal.cluster.gke.io/v1
kind: Cluster
metadata: {name: shop}
spec:
  type: hybrid
  controlPlane: {nodePoolSpec: {nodes: [{address: 127.0.0.2}]}}
  clusterNetwork:
    pods: {cidrBlocks: [192.168.0.0/16]}
    services: {cidrBlocks: [10.96.0.0/20]}
  loadBalancer:
    mode: bundled
    vips: {controlPlaneVIP: 127.0.0.10, ingressVIP: 127.0.0.20}
    addressPools: [{name: pool1, addresses: [127.0.0.20-127.0.0.30]}]
`

// loneHost is the folder of an only host's identity, on free ports.
func loneHost(t *testing.T) string {
	t.Helper()
	ports := freePorts(t, 3, "127.0.0.2")
	return filepath.Join(initialized(t, loneCluster, "--nats-port", ports[0], "--routes-port", ports[1], "--heartbeat-port", ports[2]), "hosts", "127.0.0.2")
}

func testLogger(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return slog.New(slog.DiscardHandler)
}

// runsHost runs a host's parts until use returns.
func runsHost(t *testing.T, folder, data string, use func(*hostAgents, *hostDirectory)) {
	t.Helper()
	who, err := identity.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	roles, err := rolesOf(who, []string{identity.RoleController, identity.RoleVoter})
	if err != nil {
		t.Fatal(err)
	}
	type deps struct {
		fx.In
		Agents    *hostAgents
		Directory *hostDirectory
		Sources   *hostSources
	}
	options := hostOptions{roles: roles, hosts: filepath.Join(folder, identity.DirectoryFile), data: data, services: t.TempDir()}
	err = withApp(t.Context(), func(_ context.Context, d deps) error {
		use(d.Agents, d.Directory)
		return nil
	}, hostParts(who, options, testLogger(t), streams{}))
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	return len(all)
}

func goroutines() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

func TestAHostThatStopsLeavesNothingBehind(t *testing.T) {
	folder, data := loneHost(t), t.TempDir()
	var routines, files int
	for i := range 5 {
		runsHost(t, folder, data, func(a *hostAgents, _ *hostDirectory) {
			within(t, 20*time.Second, "the log is open, and the voter is there", func() bool {
				select {
				case <-a.log.log.opened:
					return a.present.voter(netip.MustParseAddr("127.0.0.2")) == a.voter.ID()
				default:
					return false
				}
			})
			if err := a.goOn(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if i == 0 { // what a process makes once
			time.Sleep(time.Second)
			routines, files = runtime.NumGoroutine(), openFiles(t)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > routines || openFiles(t) > files {
		if time.Now().After(deadline) {
			t.Fatalf("after the first start there were %d goroutines and %d files, after the last %d and %d\n%s",
				routines, files, runtime.NumGoroutine(), openFiles(t), goroutines())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Who joins or leaves hosts.json is heard, or not heard any more, without a restart.
func TestHostsThatComeAndGoTakeEffectWithoutARestart(t *testing.T) {
	folder, data := loneHost(t), t.TempDir()
	path := filepath.Join(folder, identity.DirectoryFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Another host, and its folder, as a further `viplog init` makes them.
	more := strings.Replace(loneCluster, "    mode: bundled\n", "    mode: bundled\n    nodePoolSpec: {nodes: [{address: 127.0.0.5}]}\n", 1)
	cluster := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(folder))), "cluster.yaml")
	runsHost(t, folder, data, func(a *hostAgents, d *hostDirectory) {
		own := identityIn(t, folder)
		url := own.Servers()[0]
		if err := os.WriteFile(cluster, []byte(more), 0o600); err != nil {
			t.Fatal(err)
		}
		_, heartbeat, _ := strings.Cut(own.Self.Heartbeat.String(), ":")
		nats, routes := fmt.Sprint(own.Self.NATS.Port()), fmt.Sprint(own.Self.Routes.Port())
		out := filepath.Dir(filepath.Dir(folder))
		var said strings.Builder
		args := []string{"init", "-f", cluster, "-o", out, "--operator", "alice", "--nats-port", nats, "--routes-port", routes, "--heartbeat-port", heartbeat}
		if code := run(t.Context(), args, streams{strings.NewReader(""), &said, &said}); code != 0 {
			t.Fatal(said.String())
		}
		joined := identityIn(t, out, "hosts", "127.0.0.5")
		d.look()
		if _, known := d.current().Host(joined.Self.Address); !known {
			t.Fatal("the new host is not known")
		}
		nc := signIn(t, joined)
		if got := nc.ConnectedUrl(); got != url {
			t.Errorf("the new host is connected to %q", got)
		}
		if err := a.mail.conn.Send(joined.Self.Key, nil); err == nil || strings.Contains(err.Error(), "unknown") {
			t.Errorf("the new host is no peer of heartbeats: %v", err)
		}
		for name, broken := range map[string]string{"half of it": string(before[:len(before)/2]), "another cluster's": strings.Replace(string(before), "shop", "mall", 1)} {
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			d.look()
			if _, known := d.current().Host(joined.Self.Address); !known {
				t.Errorf("%s has taken effect", name)
			}
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		d.look()
		within(t, 5*time.Second, "who has left is not connected", func() bool { return !nc.IsConnected() })
	})
}

// A controller begins the log anew that somebody has deleted, and puts into it what it knows, without a restart.
func TestALogThatIsDeletedBeginsAnew(t *testing.T) {
	runsHost(t, loneHost(t), t.TempDir(), func(a *hostAgents, _ *hostDirectory) {
		const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n"
		if err := os.WriteFile(filepath.Join(a.options.services, "web.yaml"), []byte(service), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.goOn(t.Context()); err != nil {
			t.Fatal(err)
		}
		head := func() (h log.Head) {
			if a.log.log.wait(t.Context()) == nil {
				h, _ = a.log.log.log.Head(t.Context())
			}
			return h
		}
		within(t, 20*time.Second, "the log has facts", func() bool { return head().Last > 0 })
		before := head()
		nc, err := a.log.server.Connect()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := natsjetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteStream(t.Context(), "viplog-shop"); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, "another log has facts", func() bool { now := head(); return now.ID != before.ID && now.Last > 0 })
	})
}

func TestAControllerWithoutKubernetesHasPublishedNothing(t *testing.T) {
	who := &identity.Identity{Directory: identity.Directory{}}
	s := newHostSources(who, hostOptions{roles: hostRoles{controller: true}}, slog.Default(), nil, newHostPublished(who, nil))
	if err := s.start(t.Context()); err != nil || s.published() != 0 {
		t.Errorf("it has published up to %d, %v", s.published(), err)
	}
	if err := s.stop(t.Context()); err != nil {
		t.Error(err)
	}
}
