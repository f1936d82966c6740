package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestNodesHearWhatControllersHavePublishedAndNothingThatOthersSay(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	controller := w.connect(t, w.control)
	open(t, controller, Options{Cluster: shop})
	node := w.connect(t, w.node)
	heard := make(chan uint64, 10)
	if _, err := HearPublished(node, shop, func(sequence uint64) { heard <- sequence }); err != nil {
		t.Fatal(err)
	}
	everything := make(chan *nats.Msg, 10)
	if _, err := node.ChanSubscribe(PublishedSubject(shop), everything); err != nil {
		t.Fatal(err)
	}
	if err := node.Flush(); err != nil {
		t.Fatal(err)
	}

	// A node stores what a controller might say, and has it read to where that is heard.
	forged := nats.NewMsg("viplog.shop_a.log.node.10_0_0_2")
	forged.Header.Set(headerPublished, "1")
	forged.Data = []byte("1000")
	if _, err := must(jetstream.New(node)).PublishMsg(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	if err := node.PublishRequest("$JS.API.DIRECT.GET.viplog-shop_a", PublishedSubject(shop), []byte(`{"seq":1}`)); err != nil {
		t.Fatal(err)
	}
	select {
	case message := <-everything:
		if string(message.Data) != "1000" {
			t.Fatalf("%q came there: this test shows nothing", message.Data)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the answer does not come where it is sent, and this test shows nothing")
	}
	if err := SayPublished(controller, shop, 7); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != 7 {
			t.Errorf("heard %d", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is heard")
	}
}
