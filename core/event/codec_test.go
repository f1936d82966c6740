package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestEveryFormHasOneEntityAndOneName(t *testing.T) {
	names := map[string]bool{}
	for _, f := range forms {
		if names[f.name] {
			t.Errorf("%s stands twice in the list", f.name)
		}
		names[f.name] = true
		if TypeOf(f.zero) != f.name {
			t.Errorf("%T has the name %s, not %s", f.zero, TypeOf(f.zero), f.name)
		}
		if f.zero.Entity() == "" || f.doc == "" || f.by == "" {
			t.Errorf("%s lacks an entity, a sentence or who appends it", f.name)
		}
	}
}

func drained() Record {
	r, err := Encode(NodeDrained{Address: netip.MustParseAddr("10.0.0.5"), Reason: "disk <sda> & fan"})
	if err != nil {
		panic(err)
	}
	return r
}

func TestEncodedFactsReadWell(t *testing.T) {
	r := drained()
	if got, want := string(r.Data), `{"address":"10.0.0.5","reason":"disk <sda> & fan"}`; got != want {
		t.Errorf("data %s, want %s", got, want)
	}
	if r.Type != "viplog.NodeDrained.v1" || r.Entity != "drain.10_0_0_5" {
		t.Errorf("type %s, entity %s", r.Type, r.Entity)
	}
}

func TestAFrontEndThatVRRPForbidsIsRefused(t *testing.T) {
	node := func(i byte, priority int) FrontendPriority {
		return FrontendPriority{Address: netip.AddrFrom4([4]byte{10, 0, 0, i}), Priority: priority}
	}
	for _, c := range []struct {
		want  string
		event Event
	}{
		{"", FrontendAssigned{RouterID: 255, Priorities: []FrontendPriority{node(1, 1), node(2, 254)}}},
		{"routerID: ", FrontendAssigned{RouterID: 0, Priorities: []FrontendPriority{node(1, 1)}}},
		{"routerID: ", FrontendAssigned{RouterID: 256, Priorities: []FrontendPriority{node(1, 1)}}},
		{"at least one node", FrontendAssigned{RouterID: 1}},
		{"priorities[0].priority: ", FrontendAssigned{RouterID: 1, Priorities: []FrontendPriority{node(1, 0)}}},
		{"priorities[0].priority: ", FrontendAssigned{RouterID: 1, Priorities: []FrontendPriority{node(1, 255)}}},
		{"of two equal ones neither yields", FrontendAssigned{RouterID: 1, Priorities: []FrontendPriority{node(1, 5), node(2, 5)}}},
		{"addresses ascend", FrontendAssigned{RouterID: 1, Priorities: []FrontendPriority{node(2, 5), node(1, 6)}}},
		{"addresses ascend", FrontendAssigned{RouterID: 1, Priorities: []FrontendPriority{node(1, 5), node(1, 6)}}},
		{"frontend.routerID: ", withFrontend(FrontendSettings{RouterID: 256})},
		{"frontend.otherRouterIDs[1]: ", withFrontend(FrontendSettings{OtherRouterIDs: []int{1, 0}})},
		{"take each other's addresses", withFrontend(FrontendSettings{RouterID: 9, OtherRouterIDs: []int{9}})},
	} {
		_, err := Encode(c.event)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, not %q", c.event, err, c.want)
		}
	}
}

func withFrontend(f FrontendSettings) Event {
	e := DefaultSettings()
	e.Frontend = f
	return e
}

func TestDecodeRefusesWhatReplicasCouldReadDifferently(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Record)
		want   error
	}{
		{"unknown type", func(r *Record) { r.Type = "viplog.NodeDrained.v2" }, ErrUnknownType},
		{"unknown field", func(r *Record) { r.Data = []byte(`{"address":"10.0.0.5","force":true}`) }, ErrInvalid},
		{"no JSON", func(r *Record) { r.Data = []byte(`{"address":`) }, ErrInvalid},
		{"two values", func(r *Record) { r.Data = append(r.Data, "{}"...) }, ErrInvalid},
		{"another entity", func(r *Record) { r.Entity = "drain.10_0_0_6" }, ErrOtherEntity},
		{"spaces", func(r *Record) { r.Data = []byte(`{"address": "10.0.0.5"}`) }, ErrNotCanonical},
		{"other case", func(r *Record) { r.Data = []byte(`{"Address":"10.0.0.5"}`) }, ErrNotCanonical},
		{"twice the key", func(r *Record) { r.Data = []byte(`{"address":"10.0.0.6","address":"10.0.0.5"}`) }, ErrNotCanonical},
		{"IPv4 in IPv6", func(r *Record) { r.Data = []byte(`{"address":"::ffff:10.0.0.5"}`) }, ErrInvalid},
		{"zone", func(r *Record) { r.Data = []byte(`{"address":"fe80::1%eth0"}`) }, ErrInvalid},
		{"nothing required", func(r *Record) { r.Data = []byte(`{}`) }, ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := drained()
			test.change(&r)
			if _, err := Decode(r); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestTokensEscapeAndComeBack(t *testing.T) {
	for name, want := range map[string]string{
		"10.200.0.5": "10_200_0_5", "fd00::5": "fd00::5", "my-svc": "my-svc", "a_b=c": "a=5Fb=3Dc", "*.>": "=2A_=3E", "ü": "=C3=BC",
	} {
		token := EscapeToken(name)
		if token != want {
			t.Errorf("EscapeToken(%q) = %q, want %q", name, token, want)
		}
		if back, err := UnescapeToken(token); err != nil || back != name {
			t.Errorf("UnescapeToken(%q) = %q, %v", token, back, err)
		}
	}
	for _, token := range []string{"a=", "a=5", "a=zz", "=2e", "a.b", "=41"} {
		if name, err := UnescapeToken(token); err == nil {
			t.Errorf("UnescapeToken(%q) = %q, want an error", token, name)
		}
	}
}

// FuzzDecode holds Decode to encoding/json: what it takes is the same object to a generic reader, and re-encodes to its
// own bytes.
func FuzzDecode(f *testing.F) {
	for i, form := range forms {
		data, err := encodeJSON(form.zero)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
	}
	f.Add(5, drained().Data)
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		form := forms[uint(i)%uint(len(forms))]
		e, err := form.decode(data)
		if err != nil || e.Check() != nil {
			return
		}
		decoded, err := Decode(Record{Type: form.name, Entity: e.Entity(), Data: data})
		if err != nil {
			return
		}
		again, err := Encode(decoded)
		if err != nil || !bytes.Equal(again.Data, data) {
			t.Fatalf("%s became %s, %v", data, again.Data, err)
		}
		var generic, back map[string]any
		if json.Unmarshal(data, &generic) != nil || json.Unmarshal(again.Data, &back) != nil || len(generic) != len(back) {
			t.Fatalf("encoding/json reads %s otherwise", data)
		}
	})
}
