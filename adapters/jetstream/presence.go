package jetstream

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/nats-io/nats.go"

	"viplog/core/event"
)

// Presence is what a host says of itself beside the log, again and again: who hears it knows that it is there. It is no fact, and
// nothing of it is kept. The server lets only a host's own user publish on its subject.
type Presence struct {
	Voter string `json:"voter,omitempty"` // the id of its voter; "" for none
}

// SayPresence says it once. It does not wait for anybody.
func SayPresence(nc *nats.Conn, cluster string, host netip.Addr, p Presence) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("jetstream: presence of %s: %w", host, err)
	}
	return nc.Publish(PresenceSubject(cluster, host), data)
}

// HearPresences calls back with what hosts say of themselves, one at a time, until stop is called.
func HearPresences(nc *nats.Conn, cluster string, heard func(netip.Addr, Presence)) (stop func(), err error) {
	all := PresenceSubjects(cluster)
	prefix := strings.TrimSuffix(all, ">")
	subscription, err := nc.Subscribe(all, func(m *nats.Msg) {
		name, err := event.UnescapeToken(strings.TrimPrefix(m.Subject, prefix))
		if err != nil {
			return
		}
		host, err := netip.ParseAddr(name)
		var p Presence
		if err == nil && json.Unmarshal(m.Data, &p) == nil {
			heard(host, p)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("jetstream: hear presences: %w", err)
	}
	return func() { _ = subscription.Unsubscribe() }, nil
}
