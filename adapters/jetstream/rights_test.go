package jetstream

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/core/log/logtest"
)

var (
	nodeA = netip.MustParseAddr("10.0.0.2")
	nodeB = netip.MustParseAddr("10.0.0.3")
)

// town is a server with TLS on which everybody has the rights of one role, in the cluster "shop.a".
type town struct {
	ca                                           *authority
	server                                       *Server
	node, voter, control, operator, reader, both person
}

const shop = "shop.a"

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{ca: newAuthority(t)}
	for _, p := range []*person{&w.node, &w.voter, &w.control, &w.operator, &w.reader, &w.both} {
		*p = newPerson(t)
	}
	w.server = start(t, ServerOptions{Host: "127.0.0.1", TLS: w.ca.config(t), Users: w.users()})
	return w
}

func (w *town) users() []User {
	return []User{
		{"node", w.node.key, NodePermissions(shop, w.node.key, nodeA)},
		{"voter", w.voter.key, HostPermissions(shop, w.voter.key, nodeB)},
		{"controller", w.control.key, ControllerPermissions(shop, w.control.key)},
		{"operator", w.operator.key, OperatorPermissions(shop, w.operator.key)},
		{"reader", w.reader.key, ReaderPermissions(shop, w.reader.key)},
		{"both", w.both.key, NodePermissions(shop, w.both.key, nodeA).And(ControllerPermissions(shop, w.both.key))},
	}
}

func (w *town) connect(t *testing.T, p person) *nats.Conn {
	t.Helper()
	return p.connect(t, w.server.URL(), w.ca.config(t))
}

// mayPublish publishes, and looks whether the server says that it may not.
func mayPublish(t *testing.T, nc *nats.Conn, subject, reply string) bool {
	t.Helper()
	if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return !said(nc, "Publish", subject)
}

func maySubscribe(t *testing.T, nc *nats.Conn, subject string) bool {
	t.Helper()
	subscription, err := nc.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = subscription.Unsubscribe() }()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return !said(nc, "Subscription", subject)
}

func said(nc *nats.Conn, what, subject string) bool {
	err := nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), what+` to "`+subject+`"`)
}

// TestEveryRoleMayDoItsOwnAndNothingElse tries each subject as each user: whoever is named may, the others may not.
func TestEveryRoleMayDoItsOwnAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	open(t, connect(t, w.server), Options{Cluster: shop})
	people := []struct {
		name string
		person
	}{{"node", w.node}, {"voter", w.voter}, {"controller", w.control}, {"operator", w.operator}, {"reader", w.reader}, {"both", w.both}}
	all := []string{"node", "voter", "controller", "operator", "reader", "both"}
	nodes, controllers, operators := []string{"node", "both"}, []string{"controller", "both"}, []string{"operator"}

	publish := map[string][]string{
		"viplog.shop_a.presence.10_0_0_2":  nodes,
		"viplog.shop_a.presence.10_0_0_3":  {"voter"},
		"viplog.shop_a.presence.10_0_0_4":  nil,
		"viplog.shop_a.published":          controllers,
		"viplog.other.published":           nil,
		"viplog.shop_a.feed.node.10_0_0_2": nil,
		"viplog.other.feed.node.10_0_0_2":  nil,
		"viplog.other.log.node.10_0_0_2":   nil, // another cluster's
		"_INBOX.somebody.x":                nil,
		"$SYS.REQ.SERVER.PING":             nil,

		"$JS.API.STREAM.NAMES":                             all,
		"$JS.API.STREAM.INFO.viplog-shop_a":                all,
		"$JS.API.STREAM.MSG.GET.viplog-shop_a":             all,
		"$JS.API.DIRECT.GET.viplog-shop_a":                 all,
		"$JS.API.STREAM.INFO.viplog-other":                 nil,
		"$JS.API.STREAM.CREATE.viplog-shop_a":              controllers,
		"$JS.API.STREAM.UPDATE.viplog-shop_a":              controllers,
		"$JS.API.STREAM.PURGE.viplog-shop_a":               controllers,
		"$JS.API.STREAM.CREATE.another":                    nil,
		"$JS.API.STREAM.DELETE.viplog-shop_a":              nil,
		"$JS.API.STREAM.MSG.DELETE.viplog-shop_a":          nil,
		"$JS.API.STREAM.RESTORE.viplog-shop_a":             nil,
		"$JS.API.STREAM.SNAPSHOT.viplog-shop_a":            nil,
		"$JS.API.STREAM.LEADER.STEPDOWN.viplog-shop_a":     nil,
		"$JS.API.STREAM.PEER.REMOVE.viplog-shop_a":         nil,
		"$JS.API.CONSUMER.CREATE.viplog-shop_a":            nil,
		"$JS.API.CONSUMER.CREATE.viplog-shop_a.c":          nil,
		"$JS.API.CONSUMER.DURABLE.CREATE.viplog-shop_a.c":  nil,
		"$JS.API.CONSUMER.MSG.NEXT.viplog-shop_a.c":        nil,
		"$JS.API.META.LEADER.STEPDOWN":                     nil,
		"viplog.shop_a.log.node.10_0_0_2":                  nodes,
		"viplog.shop_a.log.conflict.10_0_0_2.10_0_0_72":    nodes,
		"viplog.shop_a.log.node.10_0_0_3":                  nil,
		"viplog.shop_a.log.node.10_0_0_2.x":                nil,
		"viplog.shop_a.log.node.10_0_0_20":                 nil,
		"viplog.shop_a.log.conflict.10_0_0_3.10_0_0_72":    nil,
		"viplog.shop_a.log.unheard-of":                     nil,
		"viplog.shop_a.log.conflict.10_0_0_2.10_0_0_72.no": nil,
	}
	for _, kind := range event.KindsOf(event.ByControl) {
		publish["viplog.shop_a.log."+kind] = controllers
		publish["viplog.shop_a.log."+kind+".10_0_0_2"] = controllers
	}
	for _, kind := range event.KindsOf(event.ByOperator) {
		who := slices.Concat(publish["viplog.shop_a.log."+kind], operators) // a rebalance is asked for by either
		publish["viplog.shop_a.log."+kind] = who
		publish["viplog.shop_a.log."+kind+".10_0_0_2"] = who
	}
	publish["viplog.shop_a.log.rebalance"] = []string{"operator", "controller", "both"} // the one after a start from nothing
	for _, kind := range []string{kindOf(event.ServiceApplied{}), kindOf(event.EndpointsChanged{})} {
		publish["viplog.shop_a.log."+kind] = []string{"operator", "controller", "both"} // viplog apply -f service.yaml
		publish["viplog.shop_a.log."+kind+".10_0_0_2"] = []string{"operator", "controller", "both"}
	}
	subscribe := map[string][]string{
		"viplog.shop_a.feed.>":             all,
		"viplog.shop_a.feed.node.10_0_0_2": all,
		"viplog.shop_a.presence.>":         controllers,
		"viplog.shop_a.presence.10_0_0_2":  controllers,
		"viplog.shop_a.published":          nodes,
		"viplog.shop_a.log.>":              nil, // facts before they are stored
		"viplog.other.feed.>":              nil,
		"_INBOX.>":                         nil,
		"_INBOX.*.x":                       nil,
		">":                                nil,
		"$SYS.>":                           nil,
		"$JS.EVENT.>":                      nil,
	}
	for _, p := range people {
		t.Run(p.name, func(t *testing.T) {
			nc := w.connect(t, p.person)
			try := func(what string, subjects map[string][]string, may func(string) bool) {
				for subject, who := range subjects {
					if got, want := may(subject), slices.Contains(who, p.name); got != want {
						t.Errorf("%s %s: allowed %t, want %t", what, subject, got, want)
					}
				}
			}
			inbox := nc.NewInbox()
			try("publish", publish, func(s string) bool { return mayPublish(t, nc, s, inbox) })
			try("subscribe", subscribe, func(s string) bool { return maySubscribe(t, nc, s) })
			for _, other := range people {
				own := other.key == p.key
				if got := maySubscribe(t, nc, InboxPrefix(other.key)+".>"); got != own {
					t.Errorf("hears the inbox of %s: %t", other.name, got)
				}
				if mayPublish(t, nc, InboxPrefix(other.key)+".x", "") {
					t.Errorf("publishes to the inbox of %s", other.name)
				}
			}
		})
	}
}

// The whole adapter works with the rights of each role, and says what is forbidden.
func TestTheLogWorksWithTheRightsOfARole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	open(t, w.connect(t, w.control), Options{Cluster: shop, TrustFeed: true})
	last := uint64(0)
	for _, role := range []struct {
		name           string
		person         person
		own, forbidden string
	}{
		{"node", w.node, "node.10_0_0_2", "node.10_0_0_3"},
		{"controller", w.control, "failure.10_0_0_2", "node.10_0_0_2"},
		{"operator", w.operator, "drain.10_0_0_2", "failure.10_0_0_2"},
		{"reader", w.reader, "", "drain.10_0_0_2"},
		{"voter", w.voter, "", "node.10_0_0_3"},
	} {
		nc := w.connect(t, role.person)
		l, err := Open(t.Context(), nc, Options{Cluster: shop, TrustFeed: true})
		if err != nil {
			t.Fatalf("%s: %v", role.name, err)
		}
		l.patience = 500 * time.Millisecond // a batch waits for it in full
		if names, err := Clusters(t.Context(), nc); err != nil || !slices.Equal(names, []string{shop}) {
			t.Errorf("%s: clusters %q, %v", role.name, names, err)
		}
		if role.own != "" {
			if last, err = l.Append(t.Context(), logtest.NewFact(role.own, 1), 0); err != nil {
				t.Fatalf("%s: %v", role.name, err)
			}
			batch := []log.Fact{logtest.NewFact(role.own, 2), logtest.NewFact(role.own, 3)}
			if last, err = l.AppendBatch(t.Context(), batch, last); err != nil {
				t.Fatalf("%s: %v", role.name, err)
			}
		}
		began := time.Now()
		if _, err := l.Append(t.Context(), logtest.NewFact(role.forbidden, 9), 0); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s appends %s: %v", role.name, role.forbidden, err)
		}
		if took := time.Since(began); took > l.patience {
			t.Errorf("it took %s to learn that it is forbidden", took)
		}
		batch := []log.Fact{logtest.NewFact(role.forbidden, 8), logtest.NewFact(role.forbidden, 9)}
		if role.own != "" {
			batch[1] = logtest.NewFact(role.own, 4)
		}
		if _, err := l.AppendBatch(t.Context(), batch, last); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s appends a batch with %s: %v", role.name, role.forbidden, err)
		}
		if head, err := l.Head(t.Context()); err != nil || head.Last != last {
			t.Fatalf("%s: the head is %+v, %v; want %d", role.name, head, err, last)
		}
		for entry, err := range l.Follow(t.Context(), 0) {
			if err != nil {
				t.Fatalf("%s: %v", role.name, err)
			}
			if entry.Sequence == last {
				break
			}
		}
	}
}

func TestOnlyAControllerMakesTheLog(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := Open(ctx, w.connect(t, w.node), Options{Cluster: shop, Create: true}); !errors.Is(err, ErrForbidden) {
		t.Fatalf("a node makes it: %v", err)
	}
	if _, err := Open(ctx, w.connect(t, w.node), Options{Cluster: shop}); !errors.Is(err, ErrNoLog) {
		t.Fatalf("a node opens it: %v", err)
	}
	if _, err := Open(ctx, w.connect(t, w.control), Options{Cluster: shop, Create: true}); err != nil {
		t.Fatalf("a controller makes it: %v", err)
	}
}

// Who has stolen a node's key publishes what that node may. By that it can have the server's answers to its reads put under any entity, for
// the server asks nobody for a right to be answered somewhere. Nothing that gets there is a fact.
func TestAStolenNodeKeyCannotAppendAnothersFacts(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	honest := open(t, w.connect(t, w.control), Options{Cluster: shop, TrustFeed: true})
	pool := event.PoolAdded{Pool: event.Pool{Name: "stolen", Addresses: []string{"10.9.0.0/24"}}}
	record := must(event.Encode(pool))
	forged := log.Fact{Record: record, ID: "forged", Source: "cli/1"}

	nc := w.connect(t, w.node)
	thief := must(Open(t.Context(), nc, Options{Cluster: shop}))
	if _, err := thief.Append(t.Context(), forged, 0); !errors.Is(err, ErrForbidden) {
		t.Fatalf("directly: %v", err)
	}
	// The text of an operator's fact, stored under the node's own entity: every ledger rejects that.
	hidden := must(thief.message(forged))
	hidden.Subject = "viplog.shop_a.log.node.10_0_0_2"
	hidden.Header.Del(jetstream.MsgIDHeader) // else what is read is dropped as a duplicate
	if _, err := thief.js.PublishMsg(t.Context(), hidden); err != nil {
		t.Fatal(err)
	}
	// Now it is read to where it would count, one by one, in a batch and by whatever else answers.
	target := "viplog.shop_a.log." + record.Entity
	for _, request := range []struct{ subject, body string }{
		{"$JS.API.DIRECT.GET.viplog-shop_a", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.viplog-shop_a", `{"seq":1,"batch":1}`},
		{"$JS.API.DIRECT.GET.viplog-shop_a", `{"seq":1,"no_hdr":true}`},
		{"$JS.API.DIRECT.GET.viplog-shop_a", `{"last_by_subj":"viplog.shop_a.log.node.10_0_0_2"}`},
		{"$JS.API.STREAM.MSG.GET.viplog-shop_a", `{"seq":1}`},
		{"$JS.API.STREAM.INFO.viplog-shop_a", ``},
		{"viplog.shop_a.log.node.10_0_0_2", `{}`}, // answered by where it was stored
		{"viplog.shop_a.feed.node.10_0_0_2", `{}`},
	} {
		if err := nc.PublishRequest(request.subject, target, []byte(request.body)); err != nil {
			t.Fatal(err)
		}
	}
	traced := &nats.Msg{Subject: "viplog.shop_a.log.node.10_0_0_2", Header: nats.Header{"Nats-Trace-Dest": {target}}}
	if err := nc.PublishMsg(traced); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	head := must(honest.Head(t.Context()))
	for ; head.Last < 7 && time.Now().Before(deadline); head = must(honest.Head(t.Context())) {
		time.Sleep(10 * time.Millisecond)
	}
	if head.Last < 7 {
		t.Fatalf("the head is %d: the answers do not come where they are sent, and this test shows nothing", head.Last)
	}

	looksTrue := 0
	for name, trust := range map[string]bool{"feed": true, "doorbell": false} {
		follower := open(t, w.connect(t, w.control), Options{Cluster: shop, TrustFeed: trust})
		state := ledger.New(head.ID)
		for entry, err := range follower.Follow(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if entry.Entity == record.Entity && (entry.Type != "" || entry.Rules != 0) {
				t.Errorf("%s: entry %d passes for a fact: %+v", name, entry.Sequence, entry)
			}
			if entry.Entity == record.Entity && entry.ID == forged.ID && string(entry.Data) == string(record.Data) {
				looksTrue++
			}
			state.ApplyEntry(entry)
			if entry.Sequence == head.Last {
				break
			}
		}
		if pools := state.PoolViews(); len(pools) > 0 {
			t.Errorf("%s: the ledger has the forged pool %+v", name, pools)
		}
	}
	if looksTrue == 0 {
		t.Error("nothing that got there looked like the fact: this test shows nothing")
	}
	for sequence := uint64(1); sequence <= head.Last; sequence++ { // read from the leader
		if entry := must(honest.get(t.Context(), getRequest{Sequence: sequence})); entry.Entity == record.Entity && entry.Type != "" {
			t.Errorf("entry %d passes for a fact when it is read alone: %+v", sequence, entry)
		}
	}
}

// A push comes to followers while they read, by another way than what they fetch.
func TestWhatTheServerWasMadeToWriteIsNoFactOnTheFeedEither(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	honest := open(t, w.connect(t, w.control), Options{Cluster: shop, TrustFeed: true})
	nc := w.connect(t, w.node)
	thief := must(Open(t.Context(), nc, Options{Cluster: shop}))
	own := must(thief.message(logtest.NewFact("node.10_0_0_2", 1)))
	own.Header.Del(jetstream.MsgIDHeader)
	if _, err := thief.js.PublishMsg(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	pushes := make(chan *nats.Msg, 10)
	if _, err := honest.nc.ChanSubscribe("viplog.shop_a.feed.>", pushes); err != nil {
		t.Fatal(err)
	}
	if err := honest.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$JS.API.DIRECT.GET.viplog-shop_a", "viplog.shop_a.log.pool.p", []byte(`{"seq":1}`)); err != nil {
		t.Fatal(err)
	}
	select {
	case push := <-pushes:
		if entry, ok := honest.delivered(push); !ok || entry.Entity != "pool.p" || entry.Sequence != 2 || entry.Type != "" {
			t.Fatalf("%t, %+v", ok, entry)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("there was no push")
	}
	// An answer that is sent to the feed itself is of the entry that it names, or rings in vain.
	if err := nc.PublishRequest("$JS.API.DIRECT.GET.viplog-shop_a", "viplog.shop_a.feed.pool.p", []byte(`{"seq":1}`)); err != nil {
		t.Fatal(err)
	}
	if entry, ok := honest.delivered(<-pushes); !ok || entry.Entity != "node.10_0_0_2" || entry.Sequence != 1 {
		t.Fatalf("%t, %+v", ok, entry)
	}
}

// TestStrangersAreRefused needs the nkey of a user, TLS, and a certificate of the authority.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	url, ours := w.server.URL(), w.ca.config(t)
	stranger, theirs := newPerson(t), newAuthority(t).config(t)
	unsure := ours.Clone()
	unsure.Certificates = nil
	blind := theirs.Clone()
	blind.RootCAs = ours.RootCAs // it takes our server, and has a certificate of its own authority
	for name, try := range map[string]func() (*nats.Conn, error){
		"a stranger's nkey": func() (*nats.Conn, error) { return nats.Connect(url, stranger.options(ours)...) },
		"another's nkey without its seed": func() (*nats.Conn, error) {
			return nats.Connect(url, nats.Nkey(w.node.key, stranger.pair.Sign), nats.Secure(ours))
		},
		"no nkey": func() (*nats.Conn, error) { return nats.Connect(url, nats.Secure(ours)) },
		"the internal user without a password": func() (*nats.Conn, error) {
			return nats.Connect(url, nats.UserInfo(internalUser, ""), nats.Secure(ours))
		},
		"no TLS": func() (*nats.Conn, error) {
			return nats.Connect("nats"+strings.TrimPrefix(url, "tls"), w.node.options(nil)...)
		},
		"no certificate":                     func() (*nats.Conn, error) { return nats.Connect(url, w.node.options(unsure)...) },
		"a certificate of another authority": func() (*nats.Conn, error) { return nats.Connect(url, w.node.options(blind)...) },
		"a server of another authority":      func() (*nats.Conn, error) { return nats.Connect(url, w.node.options(theirs)...) },
	} {
		if nc, err := try(); err == nil {
			nc.Close()
			t.Errorf("%s: connected", name)
		}
	}
	if nc, err := nats.Connect(url, w.node.options(ours)...); err != nil {
		t.Errorf("the node itself: %v", err)
	} else {
		nc.Close()
	}
}

// Within the process the internal user does everything, beside the users.
func TestTheServersOwnProcessNeedsNoIdentity(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var fed atomic.Int32
	nc := must(w.server.Connect(nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { fed.Add(1) })))
	t.Cleanup(nc.Close)
	l := open(t, nc, Options{Cluster: shop, TrustFeed: true})
	if _, err := l.Append(t.Context(), logtest.NewFact("node.10_0_0_3", 1), 0); err != nil {
		t.Fatal(err)
	}
	if mayPublish(t, nc, "viplog.shop_a.feed.node.a", "") {
		t.Error("it may publish on the feed")
	}
	as := must(w.server.Connect(w.node.options(nil)...))
	t.Cleanup(as.Close)
	if mayPublish(t, as, "viplog.shop_a.log.node.10_0_0_3", "") {
		t.Error("an nkey within the process has not its own rights")
	}
}

func TestAServerThatAnybodyCouldReachIsRefused(t *testing.T) {
	ca := newAuthority(t)
	users := []User{{Key: newPerson(t).key}}
	for name, o := range map[string]ServerOptions{
		"all addresses":                {Host: "0.0.0.0"},
		"a name":                       {Host: "example.test"},
		"an address, without users":    {Host: "10.0.0.2", TLS: ca.config(t)},
		"an address, without TLS":      {Host: "10.0.0.2", Users: users},
		"IPv6":                         {Host: "::"},
		"routes without TLS":           {Host: "127.0.0.1", TLS: ca.config(t), Users: users, Cluster: &ServerCluster{Name: "c", Host: "0.0.0.0"}},
		"routes on all by saying none": {Host: "127.0.0.1", TLS: ca.config(t), Users: users, Cluster: &ServerCluster{Name: "c"}},
	} {
		o.Store = t.TempDir()
		if server, err := StartServer(o); !errors.Is(err, ErrAnonymous) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				server.Close()
			}
		}
	}
	start(t, ServerOptions{Host: "0.0.0.0", AllowAnonymous: true})
	start(t, ServerOptions{Host: "0.0.0.0", TLS: ca.config(t), Users: users})
}

// A stream in which headers drop or make entries is none, whoever made it.
func TestAStreamThatWritersCanRewriteIsNoLog(t *testing.T) {
	nc := connect(t, start(t, ServerOptions{}))
	l := open(t, nc, Options{Cluster: "a"})
	if err := l.js.DeleteStream(t.Context(), l.stream); err != nil {
		t.Fatal(err)
	}
	config := l.config()
	config.AllowMsgTTL = true
	if _, err := l.js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), nc, Options{Cluster: "a"}); !errors.Is(err, ErrUnfit) {
		t.Fatal(err)
	}
}
