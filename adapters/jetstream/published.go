package jetstream

import (
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// headerPublished is on what is said on PublishedSubject, and on nothing else.
const headerPublished = "viplog-published"

// SayPublished tells nodes that all statuses which follow from the log up to a sequence have been written.
func SayPublished(nc *nats.Conn, cluster string, sequence uint64) error {
	message := nats.NewMsg(PublishedSubject(cluster))
	message.Header.Set(headerPublished, "1")
	message.Data = strconv.AppendUint(nil, sequence, 10)
	if err := nc.PublishMsg(message); err != nil {
		return fmt.Errorf("say what is published in %s: %w", cluster, err)
	}
	return nil
}

// HearPublished calls heard, in the subscription's own goroutine, with what a controller says by SayPublished. As with Announcements, an answer of
// the server that somebody has sent there is left out.
func HearPublished(nc *nats.Conn, cluster string, heard func(sequence uint64)) (*nats.Subscription, error) {
	subscription, err := nc.Subscribe(PublishedSubject(cluster), func(message *nats.Msg) {
		if message.Header.Get(headerPublished) == "" || message.Header.Get(jetstream.StreamHeader) != "" {
			return
		}
		if sequence, err := strconv.ParseUint(string(message.Data), 10, 64); err == nil {
			heard(sequence)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("hear what is published in %s: %w", cluster, err)
	}
	return subscription, nil
}
