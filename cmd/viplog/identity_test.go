package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"viplog/adapters/clusterfile"
	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/core/event"
	"viplog/core/log"
)

// loopbackCluster has its hosts on one machine: Linux answers for all of 127.0.0.0/8.
const loopbackCluster = `
apiVersion: baremetal.cluster.gke.io/v1
kind: Cluster
metadata: {name: shop}
spec:
  type: hybrid
  controlPlane: {nodePoolSpec: {nodes: [{address: 127.0.0.2}, {address: 127.0.0.3}, {address: 127.0.0.4}]}}
  clusterNetwork:
    pods: {cidrBlocks: [192.168.0.0/16]}
    services: {cidrBlocks: [10.96.0.0/20]}
  loadBalancer:
    mode: bundled
    vips: {controlPlaneVIP: 127.0.0.10, ingressVIP: 127.0.0.20}
    nodePoolSpec: {nodes: [{address: 127.0.0.5}, {address: 127.0.0.6}]}
    addressPools: [{name: pool1, addresses: [127.0.0.20-127.0.0.30]}]
`

// initialized runs `viplog init` for a cluster file and gives the folder.
func initialized(t *testing.T, file string, more ...string) string {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "cluster.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	args := append([]string{"init", "-f", path, "-o", filepath.Join(folder, "id"), "--operator", "alice", "--reader", "bob"}, more...)
	if code := run(t.Context(), args, streams{strings.NewReader(""), io.Discard, &said}); code != 0 {
		t.Fatalf("init: %d, %s", code, said.String())
	}
	return filepath.Join(folder, "id")
}

func identityIn(t *testing.T, folder string, names ...string) *identity.Identity {
	t.Helper()
	i, err := identity.Read(filepath.Join(append([]string{folder}, names...)...))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func signIn(t *testing.T, i *identity.Identity) *nats.Conn {
	t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	nc, err := nats.Connect(strings.Join(i.Servers(), ","), append(i.NATSOptions(), quiet, nats.DontRandomize())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// freePorts are ports that nothing listens on, on any of some addresses.
func freePorts(t *testing.T, n int, addresses ...string) []string {
	t.Helper()
	var ports []string
	for len(ports) < n {
		first, err := net.Listen("tcp", addresses[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		_, port, _ := net.SplitHostPort(first.Addr().String())
		free := true
		for _, a := range addresses[1:] {
			other, err := net.Listen("tcp", net.JoinHostPort(a, port))
			if free = free && err == nil; err == nil {
				defer other.Close()
			}
		}
		if free {
			ports = append(ports, port)
		}
	}
	return ports
}

// What init makes is enough for three controllers to keep one log, and for everybody to do what they may.
func TestThreeControllersKeepOneLogByWhatInitMakes(t *testing.T) {
	ports := freePorts(t, 2, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	folder := initialized(t, loopbackCluster, "--nats-port", ports[0], "--routes-port", ports[1])
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for _, host := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		self := identityIn(t, folder, "hosts", host)
		server, err := jetstream.StartServer(natsServer(self, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		nc := signIn(t, self)
		group.Go(func() {
			options := jetstream.Options{Cluster: "shop", Create: true, Replicas: natsReplicas(self.Directory), TrustFeed: true}
			if _, err := jetstream.Open(ctx, nc, options); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}

	address := netip.MustParseAddr("127.0.0.5")
	facts := map[string]event.Event{
		"node":       event.NodeLeft{Address: address, Incarnation: 1},
		"controller": event.NamespaceDeleted{Name: "shop"},
		"operator":   event.NodeDrained{Address: address},
	}
	for _, who := range []struct {
		folder, name string
		may          []string
	}{
		{"hosts", "127.0.0.5", []string{"node"}},
		{"hosts", "127.0.0.6", nil},
		{"hosts", "127.0.0.2", []string{"controller"}},
		{"operators", "alice", []string{"operator"}},
		{"operators", "bob", nil},
	} {
		l, err := jetstream.Open(ctx, signIn(t, identityIn(t, folder, who.folder, who.name)), jetstream.Options{Cluster: "shop", TrustFeed: true})
		if err != nil {
			t.Fatalf("%s: %v", who.name, err)
		}
		for of, e := range facts {
			record, err := event.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Append(ctx, log.Fact{Record: record, ID: who.name + "/" + of, Source: "test"}, 0)
			if want := slices.Contains(who.may, of); want != (err == nil) || !want && !errors.Is(err, jetstream.ErrForbidden) {
				t.Errorf("%s appends a fact of a %s: %v", who.name, of, err)
			}
		}
	}
}

// A route is a controller's, since nobody asks it for rights: a node's stolen folder makes no server of the cluster.
func TestANodesFolderMakesNoServerOfTheCluster(t *testing.T) {
	ports := freePorts(t, 2, "127.0.0.2", "127.0.0.5")
	folder := initialized(t, loopbackCluster, "--nats-port", ports[0], "--routes-port", ports[1])
	honest := natsServer(identityIn(t, folder, "hosts", "127.0.0.2"), t.TempDir())
	server, err := jetstream.StartServer(honest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	node := identityIn(t, folder, "hosts", "127.0.0.5")
	for name, config := range map[string]func(*jetstream.ServerCluster){
		"a node's certificate": func(c *jetstream.ServerCluster) { c.TLS = node.ServerTLS() },
		"no TLS":               func(c *jetstream.ServerCluster) { c.TLS = nil },
	} {
		cluster := *honest.Cluster
		cluster.Host, cluster.Port, cluster.Routes = "127.0.0.5", -1, node.Directory.RouteURLs()[:1]
		config(&cluster)
		thief, err := jetstream.StartServer(jetstream.ServerOptions{Store: t.TempDir(), Name: "thief", Host: "127.0.0.5", Cluster: &cluster})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond) // it tries each second
		if n := thief.Routes(); n != 0 {
			t.Errorf("%s: it has %d routes", name, n)
		}
		if n := server.Routes(); n != 0 {
			t.Errorf("%s: the controller has %d routes", name, n)
		}
		thief.Close()
	}
	friend := natsServer(identityIn(t, folder, "hosts", "127.0.0.3"), t.TempDir())
	other, err := jetstream.StartServer(friend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	for deadline := time.Now().Add(20 * time.Second); server.Routes() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("another controller has no route either: this test shows nothing")
		}
	}
}

// The two packages that must not know each other agree on what an inbox is.
func TestAnIdentityListensWhereItMay(t *testing.T) {
	i := &identity.Identity{Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	o := nats.GetDefaultOptions()
	for _, set := range i.NATSOptions() {
		if err := set(&o); err != nil {
			t.Fatal(err)
		}
	}
	if want := jetstream.InboxPrefix(i.Nkey()); o.InboxPrefix != want {
		t.Errorf("inboxes begin with %s, not %s", o.InboxPrefix, want)
	}
}

func TestSecretsAreValidAndHoldTheFolder(t *testing.T) {
	folder := initialized(t, loopbackCluster, "--format", "secrets", "--namespace", "lb", "--name", "127.0.0.5=lb-1")
	text, err := os.ReadFile(filepath.Join(folder, "secrets", "lb-1.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := yaml.UnmarshalStrict(text, &secret); err != nil {
		t.Fatal(err)
	}
	if secret.Name != "viplog-lb-1" || secret.Namespace != "lb" || secret.Kind != "Secret" || secret.APIVersion != "v1" || secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("%+v", secret.ObjectMeta)
	}
	mounted := t.TempDir()
	for name, data := range secret.Data {
		if err := os.WriteFile(filepath.Join(mounted, name), data, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if i, err := identity.Read(mounted); err != nil || i.Self.Name != "lb-1" {
		t.Fatalf("what the Secret holds cannot be read: %v", err)
	}
	if all, err := os.ReadDir(filepath.Join(folder, "secrets")); err != nil || len(all) != 5 {
		t.Errorf("%d Secrets, %v; want one for each of 5 hosts", len(all), err)
	}
}

// Roles are those that the ledger shows.
func TestRolesOfHosts(t *testing.T) {
	for name, want := range map[string]string{
		"hybrid-ha-lb.yaml": "controller,voter controller,voter controller,voter node node node",
		"hybrid-ha.yaml":    "controller,node,voter controller,node,voter controller,node,voter",
		"hybrid-basic.yaml": "controller,node,voter",
	} {
		path := filepath.Join("../../fixtures/clusters", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := clusterfile.Parse(path, data)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range hostsOf(file) {
			roles := identity.Host{Node: h.Node, Controller: h.Controller, Voter: h.Voter}.Roles()
			got = append(got, strings.Join(roles, ","))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
