package jetstream

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/event"
	"viplog/core/event/eventtest"
	"viplog/core/ledger"
	"viplog/core/log"
)

// BenchmarkFoldFromJetStream folds a log of a million facts on an embedded server, beside the bare batched Direct Get
// of the same messages with the decoding of each, in the same run.
func BenchmarkFoldFromJetStream(b *testing.B) {
	const n = 1_000_000
	server, err := StartServer(ServerOptions{Store: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	nc, err := server.Connect()
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	l, err := Open(b.Context(), nc, Options{Cluster: "bench", Create: true, TrustFeed: true})
	if err != nil {
		b.Fatal(err)
	}
	head, err := l.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	fill(b, l, eventtest.Churn{LogID: head.ID, Nodes: 10, Services: 10_000}, n)
	b.Logf("%d facts appended in %s", n, time.Since(start))

	b.Run("bare Direct Get and decoding/1M facts", func(b *testing.B) {
		for b.Loop() {
			bareFetch(b, l, n)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/fact")
	})
	b.Run("followed and folded/1M facts", func(b *testing.B) {
		for b.Loop() {
			s := ledger.New(head.ID)
			for entry, err := range l.Follow(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
				for _, change := range s.ApplyEntry(entry) {
					if change.Kind == ledger.Rejected {
						b.Fatalf("fact %d: %s", entry.Sequence, change.Reason)
					}
				}
				if entry.Sequence == n {
					break
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/fact")
	})
}

func fill(b *testing.B, l *Log, churn eventtest.Churn, n int) {
	var batch []log.Fact
	appended := uint64(0)
	for e := range churn.Facts(n) {
		record, err := event.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, log.Fact{Record: record, ID: fmt.Sprint("fact-", int(appended)+len(batch)), Source: "bench"})
		if len(batch) == log.MaxBatch || int(appended)+len(batch) == n {
			if appended, err = l.AppendBatch(b.Context(), batch, appended); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// bareFetch reads messages as plainly as it can be done, and decodes the fact of each.
func bareFetch(b *testing.B, l *Log, n uint64) {
	inbox := l.nc.NewRespInbox()
	answers := make(chan *nats.Msg, fetchCount+1)
	subscription, err := l.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = subscription.Unsubscribe() }()
	for at := uint64(0); at < n; {
		request, err := json.Marshal(getRequest{Sequence: at + 1, Batch: fetchCount, MaxBytes: fetchBytes})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+l.stream, inbox, request); err != nil {
			b.Fatal(err)
		}
		for answer := range answers {
			if answer.Header.Get("Status") == "204" {
				break
			}
			if at, err = strconv.ParseUint(answer.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
				b.Fatal(err)
			}
			entity := answer.Header.Get(jetstream.SubjectHeader)[len("viplog.bench.log."):]
			if _, err := event.Decode(event.Record{Type: answer.Header.Get(headerType), Entity: entity, Data: answer.Data}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
