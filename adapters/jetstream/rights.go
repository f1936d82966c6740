package jetstream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"viplog/core/event"
)

// User is who may connect to a server: the holder of an nkey.
type User struct {
	Name        string // for people
	Key         string // the public half of an nkey: "U…"
	Permissions Permissions
}

// Permissions are the subjects that a user may publish and subscribe to, and no others. The feed of a log is nobody's to
// publish on, whatever they say.
type Permissions struct {
	Publish, Subscribe []string
}

// ReaderPermissions let a user read a cluster's log and follow it. key is the user's, for its inbox.
func ReaderPermissions(cluster, key string) Permissions {
	token := event.EscapeToken(cluster)
	stream := streamPrefix + token
	return Permissions{
		Publish: []string{
			"$JS.API.STREAM.NAMES",
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.STREAM.MSG.GET." + stream,
			"$JS.API.DIRECT.GET." + stream,
		},
		Subscribe: []string{feedSubjects(token), InboxPrefix(key) + ".>"},
	}
}

// HostPermissions are a reader's, and to say on PresenceSubject who is there.
func HostPermissions(cluster, key string, address netip.Addr) Permissions {
	return ReaderPermissions(cluster, key).And(Permissions{Publish: []string{PresenceSubject(cluster, address)}})
}

// NodePermissions are a host's, to append the facts of the node with that address, and to hear which statuses have been written.
func NodePermissions(cluster, key string, address netip.Addr) Permissions {
	itself, conflicts := event.NodeEntities(address.String())
	prefix := "viplog." + event.EscapeToken(cluster) + ".log."
	return HostPermissions(cluster, key, address).And(Permissions{
		Publish:   []string{prefix + itself, prefix + conflicts + ".*"},
		Subscribe: []string{PublishedSubject(cluster)},
	})
}

// ControllerPermissions are a reader's, and to append what controllers append, to make, configure and purge the stream, to hear who is
// present, and to say which statuses have been written.
func ControllerPermissions(cluster, key string) Permissions {
	stream := streamPrefix + event.EscapeToken(cluster)
	return ReaderPermissions(cluster, key).And(factsOf(cluster, event.ByControl)).And(Permissions{
		Publish: []string{
			"$JS.API.STREAM.CREATE." + stream,
			"$JS.API.STREAM.UPDATE." + stream,
			"$JS.API.STREAM.PURGE." + stream,
			PublishedSubject(cluster),
		},
		Subscribe: []string{PresenceSubjects(cluster)},
	})
}

// OperatorPermissions are a reader's, and to append what operators append, and Services and endpoints, which `viplog apply` takes by hand.
func OperatorPermissions(cluster, key string) Permissions {
	return ReaderPermissions(cluster, key).And(factsOf(cluster, event.ByOperator)).
		And(factsAbout(cluster, kindOf(event.ServiceApplied{}), kindOf(event.EndpointsChanged{})))
}

func kindOf(e event.Event) string {
	kind, _, _ := strings.Cut(e.Entity(), ".")
	return kind
}

// factsOf lets append the facts of one of event.Type.By.
func factsOf(cluster, by string) Permissions { return factsAbout(cluster, event.KindsOf(by)...) }

// factsAbout lets append the facts about kinds of entities. An entity may be its kind alone.
func factsAbout(cluster string, kinds ...string) Permissions {
	var p Permissions
	for _, kind := range kinds {
		subject := "viplog." + event.EscapeToken(cluster) + ".log." + kind
		p.Publish = append(p.Publish, subject, subject+".>")
	}
	return p
}

// And is the union of rights: of whoever has several roles.
func (p Permissions) And(more Permissions) Permissions {
	union := func(a, b []string) []string {
		all := slices.Concat(a, b)
		slices.Sort(all)
		return slices.Compact(all)
	}
	return Permissions{Publish: union(p.Publish, more.Publish), Subscribe: union(p.Subscribe, more.Subscribe)}
}

// InboxPrefix is what the subjects of a user's answers begin with. A connection that uses another one hears no answer: give
// it to nats.CustomInboxPrefix.
func InboxPrefix(key string) string { return "_INBOX." + key }

// PresenceSubject is where a host says which voter it is, to controllers.
func PresenceSubject(cluster string, address netip.Addr) string {
	return "viplog." + event.EscapeToken(cluster) + ".presence." + event.EscapeToken(address.String())
}

// PresenceSubjects are those of all hosts.
func PresenceSubjects(cluster string) string {
	return "viplog." + event.EscapeToken(cluster) + ".presence.>"
}

// PublishedSubject is where a controller says which statuses have been written, to nodes.
func PublishedSubject(cluster string) string {
	return "viplog." + event.EscapeToken(cluster) + ".published"
}

// neverPublished are the feeds: what is pushed there is the server's own, and followers believe it.
var neverPublished = []string{"viplog.*.feed.>"}

func (p Permissions) server() *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish, Deny: neverPublished},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
}

// UsersConfig is the users as a part of a nats-server's configuration, to be included there: one account with JetStream.
func UsersConfig(users []User) string {
	list := func(subjects []string) string {
		quoted := make([]string, len(subjects))
		for i, s := range subjects {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	var text strings.Builder
	text.WriteString("accounts: {\n  VIPLOG: {\n    jetstream: enabled\n    users: [\n")
	for _, u := range users {
		fmt.Fprintf(&text, "      # %s\n      {\n        nkey: %s\n        permissions: {\n", strings.Join(strings.Fields(u.Name), " "), u.Key)
		fmt.Fprintf(&text, "          publish: {\n            allow: %s\n            deny: %s\n          }\n", list(u.Permissions.Publish), list(neverPublished))
		fmt.Fprintf(&text, "          subscribe: {allow: %s}\n        }\n      }\n", list(u.Permissions.Subscribe))
	}
	text.WriteString("    ]\n  }\n}\n")
	return text.String()
}
