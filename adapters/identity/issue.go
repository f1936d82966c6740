package identity

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nkeys"
)

// Request is what a folder of identities is to hold.
type Request struct {
	Cluster string
	// Hosts are all that there are to be, without keys. An empty name and a port that is 0 mean what it is already, else the
	// address and the usual port.
	Hosts []HostRequest
	// Operators are made, or get the rights said here. Those that there are stay.
	Operators []Operator
	Drop      []string // operators that are to go
	Renew     bool     // make all certificates anew
	Now       time.Time
}

// HostRequest is a host without its key.
type HostRequest struct {
	Address                             netip.Addr
	Name                                string
	Node, Controller, Voter             bool
	HeartbeatPort, NATSPort, RoutesPort uint16
}

// What became of a host or operator.
const (
	StateNew     = "new"
	StateKept    = "kept"
	StateChanged = "changed" // name, roles, rights or ports
	StateRenewed = "renewed" // its certificate
	StateDropped = "dropped" // from hosts.json; its folder stays
)

// Item says what became of a host, or of an operator where Address is zero.
type Item struct {
	Host     Host
	Operator Operator
	State    string
	Folder   string    // relative
	Expires  time.Time // of its certificate; zero for what was dropped
}

// HostFolder and OperatorFolder are where Issue writes a folder, within that of all.
func HostFolder(address netip.Addr) string { return filepath.Join("hosts", address.String()) }

// OperatorFolder is that of an operator.
func OperatorFolder(name string) string { return filepath.Join("operators", name) }

// Issue makes what is missing of a cluster's identities in a folder, and keeps what is there. The folder gets hosts.json, the
// authority with its key in ca/, and the folders of hosts and operators. It may be repeated after it failed.
func Issue(folder string, r Request) (Directory, []Item, error) {
	old, err := ReadDirectory(filepath.Join(folder, fileHosts))
	isNew := errors.Is(err, os.ErrNotExist)
	switch {
	case err != nil && !isNew:
		return Directory{}, nil, err
	case !isNew && old.Cluster != r.Cluster:
		return Directory{}, nil, fmt.Errorf("%s: it is of the cluster %q, not of %q: each cluster needs a folder of its own", folder, old.Cluster, r.Cluster)
	}
	ca, err := openAuthority(folder, r.Cluster, isNew, r.Now)
	if err != nil {
		return Directory{}, nil, err
	}
	i := &issue{folder: folder, Request: r, old: old, ca: ca, next: Directory{Cluster: r.Cluster}}
	if err := i.all(); err != nil {
		return Directory{}, nil, err
	}
	if err := i.next.check(); err != nil {
		return Directory{}, nil, err
	}
	return i.next, i.items, i.distribute()
}

type issue struct {
	Request
	folder    string
	old, next Directory
	ca        *authority
	items     []Item
}

func (i *issue) all() error {
	for _, want := range i.Hosts {
		if err := i.host(want); err != nil {
			return err
		}
	}
	for _, h := range i.old.Hosts {
		if !slices.ContainsFunc(i.Hosts, func(r HostRequest) bool { return r.Address == h.Address }) {
			i.items = append(i.items, Item{Host: h, State: StateDropped, Folder: HostFolder(h.Address)})
		}
	}
	operators, err := i.operators()
	if err != nil {
		return err
	}
	for _, want := range operators {
		if err := i.operator(want); err != nil {
			return err
		}
	}
	for _, o := range i.old.Operators {
		if slices.Contains(i.Drop, o.Name) {
			i.items = append(i.items, Item{Operator: o, State: StateDropped, Folder: OperatorFolder(o.Name)})
		}
	}
	return nil
}

func (i *issue) host(want HostRequest) error {
	before, known := i.old.Host(want.Address)
	at := func(port, usual uint16, old netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(want.Address, cmp.Or(port, old.Port(), usual))
	}
	h := Host{
		Address: want.Address, Name: cmp.Or(want.Name, before.Name, want.Address.String()),
		Node: want.Node, Controller: want.Controller, Voter: want.Voter,
		Heartbeat: at(want.HeartbeatPort, HeartbeatPort, before.Heartbeat),
	}
	if h.Controller {
		h.NATS, h.Routes = at(want.NATSPort, NATSPort, before.NATS), at(want.RoutesPort, RoutesPort, before.Routes)
	}
	var err error
	item := Item{Folder: HostFolder(h.Address), State: StateKept}
	if h.Key, err = i.key(item.Folder, before.Key); err != nil {
		return err
	}
	changed := h.Name != before.Name || h.NATS != before.NATS || h.Routes != before.Routes || h.Heartbeat != before.Heartbeat ||
		!slices.Equal(h.Roles(), before.Roles())
	if err := i.certify(&item, holder{h.Name, h.Address}, known, changed); err != nil {
		return err
	}
	item.Host = h
	i.next.Hosts, i.items = append(i.next.Hosts, h), append(i.items, item)
	return nil
}

// operators are those that there are, with what is asked for, sorted by name.
func (i *issue) operators() ([]Operator, error) {
	for _, name := range i.Drop {
		if _, known := i.old.operator(name); !known {
			return nil, fmt.Errorf("operator %s cannot be dropped: there is none of that name", name)
		}
	}
	wanted := map[string]Operator{}
	for _, o := range i.Request.Operators {
		if err := checkOperatorName(o.Name); err != nil {
			return nil, err
		}
		if other, twice := wanted[o.Name]; twice && other.Reads != o.Reads || slices.Contains(i.Drop, o.Name) {
			return nil, fmt.Errorf("operator %s: it can be an operator, a reader or dropped, one of them", o.Name)
		}
		wanted[o.Name] = o
	}
	for _, o := range i.old.Operators {
		if _, asked := wanted[o.Name]; !asked && !slices.Contains(i.Drop, o.Name) {
			wanted[o.Name] = o
		}
	}
	var all []Operator
	for _, o := range wanted {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Operator) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (i *issue) operator(want Operator) error {
	before, known := i.old.operator(want.Name)
	item := Item{Folder: OperatorFolder(want.Name), State: StateKept}
	o := Operator{Name: want.Name, Reads: want.Reads}
	var err error
	if o.Key, err = i.key(item.Folder, before.Key); err != nil {
		return err
	}
	if err := i.certify(&item, holder{name: o.Name}, known, o.Reads != before.Reads); err != nil {
		return err
	}
	item.Operator = o
	i.next.Operators, i.items = append(i.next.Operators, o), append(i.items, item)
	return nil
}

// key is the seed's, which is made if nobody has seen its key yet.
func (i *issue) key(folder string, known ed25519.PublicKey) (ed25519.PublicKey, error) {
	path := filepath.Join(i.folder, folder, fileSeed)
	private, err := readSeed(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && known == nil:
		return makeSeed(path)
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w, and hosts.json has its key: put it back, or take the entry out of %s to get a new key",
			path, os.ErrNotExist, filepath.Join(i.folder, fileHosts))
	case err != nil:
		return nil, err
	}
	public := private.Public().(ed25519.PublicKey)
	if known != nil && !public.Equal(known) {
		return nil, fmt.Errorf("%s: %w: it is %s, hosts.json has %s", path, ErrStranger, Nkey(public), Nkey(known))
	}
	return public, nil
}

func makeSeed(path string) (ed25519.PublicKey, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	if err := write(path, append(seed, '\n'), 0o600); err != nil {
		return nil, err
	}
	private, err := readSeed(path)
	if err != nil {
		return nil, err
	}
	return private.Public().(ed25519.PublicKey), nil
}

// certify sees to a folder's certificate, and says in the item what became of all.
func (i *issue) certify(item *Item, h holder, known, changed bool) error {
	folder := filepath.Join(i.folder, item.Folder)
	path, keyPath := filepath.Join(folder, fileCertificate), filepath.Join(folder, fileKey)
	pair, err := readPair(path, keyPath)
	if errors.Is(err, ErrExposed) {
		return err
	}
	renewed := err != nil || i.Renew || !i.ca.fits(pair, h, i.Now)
	if renewed {
		certificate, key, ends, err := i.ca.sign(h, i.Now)
		if err != nil {
			return err
		}
		if err := errors.Join(write(keyPath, key, 0o600), write(path, certificate, 0o644)); err != nil {
			return err
		}
		item.Expires = ends
	} else {
		item.Expires = pair.Leaf.NotAfter.UTC()
	}
	switch {
	case !known:
		item.State = StateNew
	case changed:
		item.State = StateChanged
	case renewed:
		item.State = StateRenewed
	}
	return nil
}

// distribute writes what is the same everywhere, and last what says that all is there.
func (i *issue) distribute() error {
	ca, err := os.ReadFile(filepath.Join(i.folder, folderAuthority, fileAuthority))
	if err != nil {
		return err
	}
	for _, item := range i.items {
		if item.State == StateDropped {
			continue
		}
		folder := filepath.Join(i.folder, item.Folder)
		err := errors.Join(write(filepath.Join(folder, fileAuthority), ca, 0o644), write(filepath.Join(folder, fileHosts), i.next.encode(), 0o644))
		if err != nil {
			return err
		}
	}
	return write(filepath.Join(i.folder, fileHosts), i.next.encode(), 0o644)
}

var operatorName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.@]{0,62}$`)

func checkOperatorName(name string) error {
	if !operatorName.MatchString(name) {
		return fmt.Errorf("operator %q: a name of letters, digits and - _ . @ is required, at most 63, with a letter or digit first", name)
	}
	return nil
}
