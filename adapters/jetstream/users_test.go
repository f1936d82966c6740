package jetstream

import (
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// signed is a user's key pair and how it signs in.
func signed(t *testing.T) (string, nats.Option) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public, nats.Nkey(public, pair.Sign)
}

func TestUsersChangeWhileAServerRuns(t *testing.T) {
	stays, signStays := signed(t)
	comes, signComes := signed(t)
	goes, signGoes := signed(t)
	user := func(key string) User {
		return User{Key: key, Permissions: HostPermissions(shop, key, netip.MustParseAddr("10.0.0.1"))}
	}
	server, err := StartServer(ServerOptions{
		Store: t.TempDir(), Host: "127.0.0.1", Users: []User{user(stays), user(goes)},
		Cluster: &ServerCluster{Name: "shop", Host: "127.0.0.1", Routes: []string{"nats://127.0.0.1:9"}}, // the others are away
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	connect := func(sign nats.Option) (*nats.Conn, error) {
		return nats.Connect(server.URL(), sign, nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	}
	staying, err := connect(signStays)
	if err != nil {
		t.Fatal(err)
	}
	defer staying.Close()
	going, err := connect(signGoes)
	if err != nil {
		t.Fatal(err)
	}
	defer going.Close()
	internal, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer internal.Close()
	if _, err := connect(signComes); err == nil {
		t.Fatal("a stranger may connect")
	}
	if err := server.SetUsers([]User{user(stays), user(comes)}); err != nil {
		t.Fatal(err)
	}
	coming, err := connect(signComes)
	if err != nil {
		t.Fatalf("who is new may not connect: %v", err)
	}
	coming.Close()
	if _, err := connect(signGoes); err == nil {
		t.Error("who is none any more may connect")
	}
	for deadline := time.Now().Add(5 * time.Second); !going.IsClosed(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection of who is none any more goes on")
		}
	}
	for name, nc := range map[string]*nats.Conn{"of who stays": staying, "of the server's own user": internal} {
		if err := nc.FlushTimeout(time.Second); err != nil || nc.IsClosed() {
			t.Errorf("the connection %s does not go on: %v", name, err)
		}
	}
	if err := server.SetUsers(nil); err == nil {
		t.Error("a server with users becomes one that is open to all")
	}
}
