package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	now   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	one   = netip.MustParseAddr("10.0.0.2")
	two   = netip.MustParseAddr("10.0.0.3")
	three = netip.MustParseAddr("fd00::4")
)

func request() Request {
	return Request{
		Cluster: "shop", Now: now,
		Hosts: []HostRequest{
			{Address: one, Name: "cp-1", Controller: true, Voter: true},
			{Address: two, Node: true, Voter: true},
			{Address: three, Node: true, HeartbeatPort: 7000},
		},
		Operators: []Operator{{Name: "alice"}, {Name: "bob", Reads: true}},
	}
}

func issued(t *testing.T, folder string, r Request) (Directory, []Item) {
	t.Helper()
	d, items, err := Issue(folder, r)
	if err != nil {
		t.Fatal(err)
	}
	return d, items
}

func states(items []Item) string {
	var all []string
	for _, item := range items {
		all = append(all, item.State)
	}
	return strings.Join(all, " ")
}

// contents are all files below a folder, with their modes.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		all[name] = info.Mode().String() + info.ModTime().String() + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatIsIssuedIsRead(t *testing.T) {
	folder := t.TempDir()
	d, items := issued(t, folder, request())
	if got := states(items); got != "new new new new new" {
		t.Fatalf("states: %s", got)
	}
	for _, h := range d.Hosts {
		i, err := read(filepath.Join(folder, HostFolder(h.Address)), now)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(i.Self, h) || i.Operator != "" || !reflect.DeepEqual(i.Directory, d) {
			t.Errorf("%s is read as %+v", h.Address, i.Self)
		}
		if !h.Key.Equal(i.Private.Public()) || !ed25519.Verify(h.Key, []byte("x"), ed25519.Sign(i.Private, []byte("x"))) {
			t.Errorf("%s: the private key is not that of the directory", h.Address)
		}
		if got := i.Servers(); !slices.Equal(got, []string{"tls://10.0.0.2:4222"}) {
			t.Errorf("servers: %q", got)
		}
		if !i.Expires.Equal(now.Add(certificateLasts)) {
			t.Errorf("it ends at %s", i.Expires)
		}
	}
	for _, o := range d.Operators {
		i, err := read(filepath.Join(folder, OperatorFolder(o.Name)), now)
		if err != nil {
			t.Fatal(err)
		}
		if i.Operator != o.Name || i.Self.Address.IsValid() || !o.Key.Equal(i.Private.Public()) {
			t.Errorf("%s is read as %+v", o.Name, i)
		}
	}
	h, _ := d.Host(three)
	if h.Heartbeat != netip.MustParseAddrPort("[fd00::4]:7000") || h.NATS.IsValid() || h.Name != "fd00::4" {
		t.Errorf("third host: %+v", h)
	}
	if _, there := contents(t, folder)["ca/ca.key"]; !there {
		t.Error("the authority's key is not in ca/")
	}
	for name, file := range contents(t, folder) {
		secret := strings.HasSuffix(name, ".key") || strings.HasSuffix(name, "seed")
		if got := strings.HasPrefix(file, "-rw-------"); got != secret {
			t.Errorf("%s is secret: %t, its mode %s", name, secret, file[:10])
		}
		if strings.HasSuffix(name, "ca.key") && name != "ca/ca.key" {
			t.Errorf("the authority's key is in %s too", name)
		}
	}
}

func TestIssuingAgainChangesNothing(t *testing.T) {
	folder := t.TempDir()
	issued(t, folder, request())
	before := contents(t, folder)
	again := request()
	again.Now = now.Add(24 * time.Hour)
	again.Operators = nil
	again.Hosts[0].Name, again.Hosts[2].HeartbeatPort = "", 0 // what it is already
	_, items := issued(t, folder, again)
	if got := states(items); got != "kept kept kept kept kept" {
		t.Errorf("states: %s", got)
	}
	if after := contents(t, folder); !reflect.DeepEqual(after, before) {
		t.Error("something changed")
	}
}

func TestIssuingAgainFollowsTheCluster(t *testing.T) {
	folder := t.TempDir()
	first, _ := issued(t, folder, request())
	next := request()
	next.Hosts = append(next.Hosts[:2:2], HostRequest{Address: netip.MustParseAddr("10.0.0.9"), Node: true})
	next.Hosts[1].Controller = true
	next.Operators = []Operator{{Name: "bob"}}
	next.Drop = []string{"alice"}
	d, items := issued(t, folder, next)
	if got := states(items); got != "kept changed new dropped changed dropped" {
		t.Errorf("states: %s", got)
	}
	for i, h := range d.Hosts[:2] {
		if !h.Key.Equal(first.Hosts[i].Key) {
			t.Errorf("%s has another key", h.Address)
		}
	}
	if len(d.Hosts) != 3 || !d.Hosts[1].NATS.IsValid() || len(d.Operators) != 1 || d.Operators[0].Reads || !d.Operators[0].Key.Equal(first.Operators[1].Key) {
		t.Errorf("directory: %+v", d)
	}
	for _, gone := range []string{HostFolder(three), OperatorFolder("alice")} {
		if _, err := read(filepath.Join(folder, gone), now); err != nil {
			t.Errorf("the folder of what was dropped does not stay: %v", err)
		}
	}
}

func TestCertificatesAreRenewed(t *testing.T) {
	folder := t.TempDir()
	first, _ := issued(t, folder, request())
	certificate := func(i int) string {
		data, err := os.ReadFile(filepath.Join(folder, HostFolder(request().Hosts[i].Address), fileCertificate))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, test := range []struct {
		name  string
		after time.Duration
		renew bool
		want  string
	}{
		{"in time", certificateLasts - renewedBefore - time.Hour, false, StateKept},
		{"near the end", certificateLasts - renewedBefore + time.Hour, false, StateRenewed},
		{"because it is said so", certificateLasts - renewedBefore + time.Hour, true, StateRenewed},
		{"after the end", 3 * certificateLasts, false, StateRenewed},
	} {
		before := certificate(0)
		r := request()
		r.Now, r.Renew = now.Add(test.after), test.renew
		d, items := issued(t, folder, r)
		for _, item := range items {
			if item.State != test.want {
				t.Errorf("%s: %s", test.name, item.State)
			}
		}
		if !reflect.DeepEqual(d, first) {
			t.Errorf("%s: the directory changed", test.name)
		}
		if (certificate(0) != before) != (test.want == StateRenewed) {
			t.Errorf("%s: the certificate is not %s", test.name, test.want)
		}
		if _, err := read(filepath.Join(folder, HostFolder(one)), r.Now); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	r := request()
	r.Hosts[0].Name = "cp-first"
	if _, items := issued(t, folder, r); items[0].State != StateChanged {
		t.Errorf("another name: %s", states(items))
	}
}

func TestIssuingGoesOnWhereItStopped(t *testing.T) {
	for _, lost := range []string{"hosts.json", "hosts/10.0.0.3/tls.crt", "hosts/10.0.0.3/tls.key", "hosts/10.0.0.3/hosts.json", "hosts/10.0.0.3/ca.crt"} {
		folder := t.TempDir()
		first, _ := issued(t, folder, request())
		if err := os.Remove(filepath.Join(folder, lost)); err != nil {
			t.Fatal(err)
		}
		d, _ := issued(t, folder, request())
		if !reflect.DeepEqual(d, first) {
			t.Errorf("without %s there are other keys", lost)
		}
		if _, err := read(filepath.Join(folder, HostFolder(two)), now); err != nil {
			t.Errorf("without %s: %v", lost, err)
		}
	}
}

func TestIssuingRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, folder string, r *Request)
		want string
	}{
		"another cluster":         {func(_ *testing.T, _ string, r *Request) { r.Cluster = "other" }, `it is of the cluster "shop", not of "other"`},
		"a lost seed":             {func(t *testing.T, f string, _ *Request) { remove(t, f, "hosts/10.0.0.2/seed") }, "put it back, or take the entry out of"},
		"a lost authority":        {func(t *testing.T, f string, _ *Request) { remove(t, f, "ca/ca.key"); remove(t, f, "ca/ca.crt") }, "put it back, or begin anew"},
		"a seed of another":       {func(t *testing.T, f string, _ *Request) { swap(t, f, "seed") }, "hosts.json has U"},
		"an exposed seed":         {func(t *testing.T, f string, _ *Request) { mode(t, f, "hosts/10.0.0.2/seed", 0o644) }, "its mode is 0644"},
		"an exposed authority":    {func(t *testing.T, f string, _ *Request) { mode(t, f, "ca/ca.key", 0o640) }, "its mode is 0640"},
		"an unknown to drop":      {func(_ *testing.T, _ string, r *Request) { r.Drop = []string{"carol"} }, "there is none of that name"},
		"both dropped and added":  {func(_ *testing.T, _ string, r *Request) { r.Drop = []string{"bob"} }, "one of them"},
		"a name of two":           {func(_ *testing.T, _ string, r *Request) { r.Hosts[1].Name = "cp-1" }, "have the same name cp-1"},
		"an operator with a path": {func(_ *testing.T, _ string, r *Request) { r.Operators[0].Name = "../x" }, "a name of letters"},
	} {
		folder := t.TempDir()
		issued(t, folder, request())
		r := request()
		test.harm(t, folder, &r)
		if _, _, err := Issue(folder, r); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func remove(t *testing.T, folder, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, folder, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
		t.Fatal(err)
	}
}

// swap gives the first host a file of the second.
func swap(t *testing.T, folder, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, HostFolder(two), name))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, HostFolder(one), name), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadingRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, folder string)
		at   time.Time
		is   error
		want string
	}{
		"a seed that others may read":   {func(t *testing.T, f string) { mode(t, f, "hosts/10.0.0.2/seed", 0o604) }, now, ErrExposed, "seed: identity: others may read it: its mode is 0604"},
		"a seed that a group may read":  {func(t *testing.T, f string) { mode(t, f, "hosts/10.0.0.2/seed", 0o640) }, now, ErrExposed, "chmod 600"},
		"a key that others may read":    {func(t *testing.T, f string) { mode(t, f, "hosts/10.0.0.2/tls.key", 0o644) }, now, ErrExposed, "tls.key"},
		"no seed":                       {func(t *testing.T, f string) { remove(t, f, "hosts/10.0.0.2/seed") }, now, os.ErrNotExist, "seed"},
		"another's seed":                {func(t *testing.T, f string) { swap(t, f, "seed") }, now, ErrCertificate, "it is of 10.0.0.2, and the seed is that of 10.0.0.3"},
		"a stranger's seed":             {func(t *testing.T, f string) { other(t, f, "seed") }, now, ErrStranger, "copy it whole"},
		"another's certificate":         {func(t *testing.T, f string) { swap(t, f, "tls.crt"); swap(t, f, "tls.key") }, now, ErrCertificate, "it is of 10.0.0.3, and the seed is that of 10.0.0.2"},
		"a certificate without its key": {func(t *testing.T, f string) { swap(t, f, "tls.crt") }, now, ErrCertificate, "tls.key"},
		"a certificate of another authority": {
			func(t *testing.T, f string) { other(t, f, "tls.crt", "tls.key") }, now, ErrCertificate, "not signed by the authority in ca.crt",
		},
		"a certificate that ended":       {func(*testing.T, string) {}, now.Add(certificateLasts + time.Hour), ErrCertificate, "it ended at 2029-11-27T12:00:00Z; `viplog init` renews it"},
		"a clock before the certificate": {func(*testing.T, string) {}, now.AddDate(-1, 0, 0), ErrCertificate, "this host's clock says 2025-11-28"},
		"an unknown field": {
			func(t *testing.T, f string) {
				put(t, f, "hosts.json", `{"cluster":"shop","hosts":[],"operators":[],"x":1}`)
			}, now, ErrDirectory, "hosts.json",
		},
		"a seed that is none": {func(t *testing.T, f string) { put(t, f, "seed", "SU") }, now, nil, "no seed of a user's nkey"},
	} {
		folder := t.TempDir()
		issued(t, folder, request())
		test.harm(t, folder)
		_, err := read(filepath.Join(folder, HostFolder(one)), test.at)
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// other gives the first host files of the same host in another cluster.
func other(t *testing.T, folder string, names ...string) {
	t.Helper()
	elsewhere := t.TempDir()
	issued(t, elsewhere, request())
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(elsewhere, HostFolder(one), name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, folder, name, string(data))
	}
}

func put(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, HostFolder(one), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatContradictsItselfIsRefused(t *testing.T) {
	folder := t.TempDir()
	d, _ := issued(t, folder, request())
	for name, change := range map[string]func(*Directory){
		"no cluster":                   func(d *Directory) { d.Cluster = "" },
		"an address twice":             func(d *Directory) { d.Hosts[1].Address = one },
		"a name twice":                 func(d *Directory) { d.Hosts[1].Name = "cp-1" },
		"a key twice":                  func(d *Directory) { d.Hosts[1].Key = d.Hosts[0].Key },
		"an operator with a host's":    func(d *Directory) { d.Operators[0].Key = d.Hosts[0].Key },
		"a controller without NATS":    func(d *Directory) { d.Hosts[0].NATS = netip.AddrPort{} },
		"a node with NATS":             func(d *Directory) { d.Hosts[1].NATS = d.Hosts[0].NATS },
		"no place to hear heartbeats":  func(d *Directory) { d.Hosts[1].Heartbeat = netip.AddrPort{} },
		"an operator twice":            func(d *Directory) { d.Operators[1].Name = "alice" },
		"an operator without a name":   func(d *Directory) { d.Operators[1].Name = "" },
		"a host without a name":        func(d *Directory) { d.Hosts[1].Name = "" },
		"a host without an address":    func(d *Directory) { d.Hosts[1].Address = netip.Addr{} },
		"a controller without a route": func(d *Directory) { d.Hosts[0].Routes = netip.AddrPort{} },
	} {
		broken := Directory{d.Cluster, slices.Clone(d.Hosts), slices.Clone(d.Operators)}
		change(&broken)
		path := filepath.Join(t.TempDir(), "hosts.json")
		if err := os.WriteFile(path, broken.encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDirectory(path); !errors.Is(err, ErrDirectory) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhoMayTalkTLSToWhom shakes hands: a client with a server, and the two ends of a route.
func TestWhoMayTalkTLSToWhom(t *testing.T) {
	here, elsewhere := t.TempDir(), t.TempDir()
	local := request()
	local.Now = time.Now() // TLS looks at the clock
	local.Hosts[0].Address = netip.MustParseAddr("127.0.0.1")
	issued(t, here, local)
	issued(t, elsewhere, local)
	identityOf := func(root, folder string) *Identity {
		i, err := Read(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	controller, node := identityOf(here, "hosts/127.0.0.1"), identityOf(here, HostFolder(two))
	operator, stranger := identityOf(here, "operators/alice"), identityOf(elsewhere, "hosts/127.0.0.1")
	anonymous := node.ClientTLS()
	anonymous.Certificates = nil
	trusting := stranger.ClientTLS()
	trusting.RootCAs = node.authority
	for _, test := range []struct {
		name           string
		server, client *tls.Config
		want           bool
	}{
		{"a node to a controller", controller.ServerTLS(), node.ClientTLS(), true},
		{"an operator to a controller", controller.ServerTLS(), operator.ClientTLS(), true},
		{"nobody to a controller", controller.ServerTLS(), anonymous, false},
		{"a stranger to a controller", controller.ServerTLS(), trusting, false},
		{"a node to another authority's controller", stranger.ServerTLS(), node.ClientTLS(), false},
		{"a node to what pretends to be a controller", node.ServerTLS(), node.ClientTLS(), false},
		{"an operator that pretends to be a controller", operator.ServerTLS(), node.ClientTLS(), false},
		{"a controller to a controller, by a route", controller.RouteTLS(), controller.RouteTLS(), true},
		{"a node to a controller, by a route", controller.RouteTLS(), node.RouteTLS(), false},
		{"a node to a controller, by a route as a client", controller.RouteTLS(), node.ClientTLS(), false},
		{"an operator to a controller, by a route", controller.RouteTLS(), operator.ClientTLS(), false},
		{"a controller to a node, by a route", node.ServerTLS(), controller.RouteTLS(), false},
	} {
		if err := handshake(t, test.server, test.client); (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		served <- err
	}()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", listener.Addr().String(), client)
	if err == nil {
		defer conn.Close()
	}
	return errors.Join(err, <-served)
}
