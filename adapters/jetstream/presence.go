package jetstream

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viplog/core/event"
)

// headerPresence is on what hosts say on PresenceSubject, and on nothing else.
const headerPresence = "viplog-presence"

// Announce says something of a host on its PresenceSubject.
func Announce(nc *nats.Conn, cluster string, address netip.Addr, data []byte) error {
	message := nats.NewMsg(PresenceSubject(cluster, address))
	message.Header.Set(headerPresence, "1")
	message.Data = data
	if err := nc.PublishMsg(message); err != nil {
		return fmt.Errorf("announce %s: %w", address, err)
	}
	return nil
}

// Announcements calls heard, in the subscription's own goroutine, with what each host says of itself.
//
// The server lets nobody else publish on a host's subject. But it sends answers wherever they are asked to go, so a host could have it say there
// what it had stored in the log before. Such an answer either names its stream or has no headers, and is left out.
func Announcements(nc *nats.Conn, cluster string, heard func(address netip.Addr, data []byte)) (*nats.Subscription, error) {
	prefix := strings.TrimSuffix(PresenceSubjects(cluster), ">")
	subscription, err := nc.Subscribe(prefix+">", func(message *nats.Msg) {
		if message.Header.Get(headerPresence) == "" || message.Header.Get(jetstream.StreamHeader) != "" {
			return
		}
		text, err := event.UnescapeToken(strings.TrimPrefix(message.Subject, prefix))
		if err != nil {
			return
		}
		if address, err := netip.ParseAddr(text); err == nil {
			heard(address, message.Data)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("hear who is present in %s: %w", cluster, err)
	}
	return subscription, nil
}
