package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
)

// The shape of hosts.json.
type (
	directoryFile struct {
		Cluster   string         `json:"cluster"`
		Hosts     []hostFile     `json:"hosts"`
		Operators []operatorFile `json:"operators"`
	}
	hostFile struct {
		Address   netip.Addr     `json:"address"`
		Name      string         `json:"name"`
		Key       string         `json:"key"`
		Roles     []string       `json:"roles"`
		Heartbeat netip.AddrPort `json:"heartbeat"`
		NATS      netip.AddrPort `json:"nats,omitzero"`
		Routes    netip.AddrPort `json:"routes,omitzero"`
	}
	operatorFile struct {
		Name  string `json:"name"`
		Key   string `json:"key"`
		Reads bool   `json:"reads"`
	}
)

// Roles of a host, as hosts.json and viplog's output name them.
const (
	RoleNode       = "node"
	RoleController = "controller"
	RoleVoter      = "voter"
)

// Roles names a host's roles.
func (h Host) Roles() []string {
	roles := []string{}
	for _, r := range []struct {
		has  bool
		name string
	}{{h.Controller, RoleController}, {h.Node, RoleNode}, {h.Voter, RoleVoter}} {
		if r.has {
			roles = append(roles, r.name)
		}
	}
	return roles
}

// ReadDirectory reads a hosts.json. Its errors name the file, and wrap ErrDirectory where it can be read and makes no sense.
func ReadDirectory(path string) (Directory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Directory{}, err
	}
	d, err := decodeDirectory(data)
	if err != nil {
		return Directory{}, fmt.Errorf("%s: %w: %w", path, ErrDirectory, err)
	}
	return d, nil
}

func decodeDirectory(data []byte) (Directory, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var file directoryFile
	if err := decoder.Decode(&file); err != nil {
		return Directory{}, err
	}
	d := Directory{Cluster: file.Cluster}
	for i, h := range file.Hosts {
		host, err := h.host()
		if err != nil {
			return Directory{}, fmt.Errorf("hosts[%d]: %w", i, err)
		}
		d.Hosts = append(d.Hosts, host)
	}
	for i, o := range file.Operators {
		key, err := keyOf(o.Key)
		if err != nil {
			return Directory{}, fmt.Errorf("operators[%d].key: %w", i, err)
		}
		d.Operators = append(d.Operators, Operator{o.Name, key, o.Reads})
	}
	return d, d.check()
}

func (f hostFile) host() (Host, error) {
	key, err := keyOf(f.Key)
	if err != nil {
		return Host{}, fmt.Errorf("key: %w", err)
	}
	h := Host{Address: f.Address, Name: f.Name, Key: key, Heartbeat: f.Heartbeat, NATS: f.NATS, Routes: f.Routes}
	for _, role := range f.Roles {
		switch role {
		case RoleNode:
			h.Node = true
		case RoleController:
			h.Controller = true
		case RoleVoter:
			h.Voter = true
		default:
			return Host{}, fmt.Errorf("roles: %q is none of node, controller and voter", role)
		}
	}
	return h, nil
}

// check wants everyone to be told apart, and controllers to be found.
func (d Directory) check() error {
	if d.Cluster == "" {
		return fmt.Errorf("the cluster has no name")
	}
	seen := map[string]string{}
	once := func(what, value, whose string) error {
		if other, twice := seen[what+" "+value]; twice {
			return fmt.Errorf("%s and %s have the same %s %s", other, whose, what, value)
		}
		seen[what+" "+value] = whose
		return nil
	}
	for _, h := range d.Hosts {
		whose := "host " + h.Address.String()
		if !h.Address.IsValid() || h.Name == "" || !h.Heartbeat.IsValid() {
			return fmt.Errorf("%s: an address, a name and where it hears heartbeats are required", whose)
		}
		if h.Controller != h.NATS.IsValid() || h.Controller != h.Routes.IsValid() {
			return fmt.Errorf("%s: controllers have nats and routes, and others have not", whose)
		}
		for what, value := range map[string]string{"address": h.Address.String(), "name": h.Name, "key": Nkey(h.Key)} {
			if err := once(what, value, whose); err != nil {
				return err
			}
		}
	}
	for _, o := range d.Operators {
		whose := "operator " + o.Name
		if err := checkOperatorName(o.Name); err != nil {
			return err
		}
		if err := once("operator's name", o.Name, whose); err != nil {
			return err
		}
		if err := once("key", Nkey(o.Key), whose); err != nil {
			return err
		}
	}
	return nil
}

// encode is one host or operator a line, so that what changed is seen in a difference.
func (d Directory) encode() []byte {
	var text bytes.Buffer
	line := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("identity: %v", err)) // plain values
		}
		return string(data)
	}
	list := func(name string, n int, at func(int) any, end string) {
		fmt.Fprintf(&text, "  %q: [", name)
		for i := range n {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString("\n    " + line(at(i)))
		}
		if n > 0 {
			text.WriteString("\n  ")
		}
		text.WriteString("]" + end + "\n")
	}
	fmt.Fprintf(&text, "{\n  \"cluster\": %s,\n", line(d.Cluster))
	list("hosts", len(d.Hosts), func(i int) any {
		h := d.Hosts[i]
		return hostFile{h.Address, h.Name, Nkey(h.Key), h.Roles(), h.Heartbeat, h.NATS, h.Routes}
	}, ",")
	list("operators", len(d.Operators), func(i int) any {
		o := d.Operators[i]
		return operatorFile{o.Name, Nkey(o.Key), o.Reads}
	}, "")
	text.WriteString("}\n")
	return text.Bytes()
}
