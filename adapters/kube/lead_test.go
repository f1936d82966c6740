package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

var errNotRead = errors.New("the log is not read")

// slowLedger is one at the head, whose log takes its time to say so.
type slowLedger struct {
	state atomic.Pointer[ledger.State]
	asked chan struct{}
	goOn  chan struct{}
}

func (l *slowLedger) State() *ledger.State { return l.state.Load() }

func (l *slowLedger) Submit(context.Context, func(*ledger.State) ([]event.Event, error)) (uint64, error) {
	return 0, errNotRead
}

func (l *slowLedger) CatchUp(ctx context.Context) error {
	l.asked <- struct{}{}
	select {
	case <-l.goOn:
		return errNotRead
	case <-ctx.Done():
		return ctx.Err()
	}
}

// What a controller that takes over has not looked at may be what the one before has not written.
func TestAControllerThatTakesOverPublishesNothingBeforeItHasLooked(t *testing.T) {
	k := New(Config{Client: fake.NewClientset(), Cluster: "test", Logger: slog.New(slog.DiscardHandler)})
	if err := k.openCaches(); err != nil {
		t.Fatal(err)
	}
	web := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	if err := k.caches.services.GetStore().Add(web); err != nil {
		t.Fatal(err)
	}
	l := &slowLedger{asked: make(chan struct{}), goOn: make(chan struct{})}
	l.state.Store(ledger.New("log"))
	k.ledger = l
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go k.follow(ctx)
	ended := make(chan struct{})
	go func() { k.lead(ctx); close(ended) }()
	<-l.asked
	record, err := event.Encode(event.NamespaceDeleted{Name: "none"}) // a fact that touches no Service
	if err != nil {
		t.Fatal(err)
	}
	entry := log.Entry{Fact: log.Fact{Record: record, ID: "1", Source: "test"}, Sequence: 1, Time: time.Now()}
	after := ledger.New("log")
	changes := after.ApplyEntry(entry)
	l.state.Store(after)
	k.Folded(entry, changes, nil)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got := k.Published(); got > 0 {
			t.Fatalf("%d is said to be published, and no Service was looked at", got)
		}
	}
	close(l.goOn)
	<-ended
}
