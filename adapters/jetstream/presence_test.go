package jetstream

import (
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestAHostIsHeardAndNobodySpeaksForIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	listener := w.connect(t, w.control)
	open(t, listener, Options{Cluster: shop})
	type said struct {
		address netip.Addr
		data    string
	}
	heard := make(chan said, 10)
	if _, err := Announcements(listener, shop, func(a netip.Addr, data []byte) { heard <- said{a, string(data)} }); err != nil {
		t.Fatal(err)
	}
	everything := make(chan *nats.Msg, 10)
	if _, err := listener.ChanSubscribe(PresenceSubject(shop, nodeB), everything); err != nil {
		t.Fatal(err)
	}
	if err := listener.Flush(); err != nil {
		t.Fatal(err)
	}

	// The node stores what the other host might say, and has it read to that host's subject.
	thief := w.connect(t, w.node)
	if mayPublish(t, thief, PresenceSubject(shop, nodeB), "") {
		t.Fatal("it may speak for another host")
	}
	forged := nats.NewMsg("viplog.shop_a.log.node.10_0_0_2")
	forged.Header.Set(headerPresence, "1")
	forged.Data = []byte("I am 10.0.0.3")
	if _, err := must(jetstream.New(thief)).PublishMsg(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"seq":1}`, `{"seq":1,"no_hdr":true}`} {
		if err := thief.PublishRequest("$JS.API.DIRECT.GET.viplog-shop_a", PresenceSubject(shop, nodeB), []byte(body)); err != nil {
			t.Fatal(err)
		}
		select {
		case message := <-everything:
			if string(message.Data) != string(forged.Data) {
				t.Fatalf("%q came there: this test shows nothing", message.Data)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the answer does not come where it is sent, and this test shows nothing")
		}
	}
	if err := Announce(thief, shop, nodeA, []byte("here")); err != nil {
		t.Fatal(err)
	}
	if err := Announce(w.connect(t, w.voter), shop, nodeB, []byte("there")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case got := <-heard:
			if got != (said{nodeA, "here"}) && got != (said{nodeB, "there"}) {
				t.Errorf("heard %+v", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is heard")
		}
	}
}
