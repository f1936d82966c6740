package staticpod

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Keeper keeps the front end of one node as it was rendered. Its methods look once each, and are called about every second, by one goroutine: two looks have
// to fit into the 3 s after which another member takes the VIP over. A look at what is right takes a millisecond, one that reloads HAProxy up to
// reloadPatience. Nobody else writes its files.
type Keeper struct {
	Options Options // those of Render
	Node    Node    // nil: the network namespace that the caller is in

	kept    map[string]string // what the files held when they were last right, by path; nil before the first look
	refused map[string]string // the configuration that a program did not take, as loaded knows it
	silent  int               // how many looks in succession found nobody who speaks VRRP
	sawRun  bool              // the last look has found Keepalived's run folder
	unseen  bool              // a folder of Keepalived's Pod was deleted: one may run whose process id no file shows
}

// Node is what a Keeper needs of its node besides files.
type Node interface {
	// SpeaksVRRP tells whether a process has a socket for VRRP.
	SpeaksVRRP() (bool, error)
	// TakeOff takes an address that stands alone (/32 or /128) off the interfaces that hold it, and names them.
	TakeOff(netip.Addr) (interfaces []string, err error)
}

// What says what a Keeper has done.
type What string

// What a Keeper does.
const (
	Written  What = "written"   // a file is new, or the plan has changed it, or it was changed while no Keeper ran
	Restored What = "restored"  // a file was not as this Keeper left it
	Removed  What = "removed"   // a file that nobody needs any more
	Cleaned  What = "cleaned"   // a file that a Keeper had begun
	Reloaded What = "reloaded"  // a program reads its configuration again
	TakenOff What = "taken off" // the VIP, from an interface, where Keepalived is gone
)

// Change is one thing that was put right.
type Change struct {
	What What   `json:"what"`
	Of   string `json:"of"`  // a file's path, a program, or an interface
	Why  string `json:"why"` // like "missing", "changed from line 7", "cut short after 120 bytes"
}

// String is for a line of a log.
func (c Change) String() string { return fmt.Sprintf("%s %s: %s", c.What, c.Of, c.Why) }

// Keep puts right what differs from files, which Render gave: one look, which writes nothing where nothing differs. Configurations come
// before the manifests of those who read them. Changes are what was done, also with an error; what failed is tried again by the next call.
func (k *Keeper) Keep(files []File) (changes []Change, err error) {
	o := k.Options.withDefaults()
	wanted, err := inOrder(o, files)
	if err != nil {
		return nil, err
	}
	if changes, err = k.makeFolders(o); err != nil {
		return changes, err
	}
	guarded, err := k.guard(o, vipsIn(contentOf(wanted, o.config(fileKeepalived))))
	changes = append(changes, guarded...)
	if err != nil {
		return changes, err
	}
	for _, f := range wanted {
		change, differed, err := k.put(f)
		if err != nil {
			return changes, err // a manifest without its configuration would start a program in vain
		}
		if differed {
			changes = append(changes, change)
		}
	}
	for _, path := range o.paths() {
		if contentOf(wanted, path) == nil {
			changes, err = k.remove(changes, err, path, unwanted)
		}
	}
	reloaded, failed := k.reload(o, wanted)
	return append(changes, reloaded...), errors.Join(err, failed)
}

// makeFolders makes those that are missing. A Pod that runs has the deleted folder mounted until its container begins anew, and would never see what
// is written into the next one: so its manifest goes, and comes back later in the same look, whereupon the kubelet starts the Pod anew. Until it has, the
// old program is not to be asked to reload: the file that shows that it runs goes too. Folders that end with the machine are missing at the first look after its
// start, when no Pod runs: a kubelet makes them too.
func (k *Keeper) makeFolders(o Options) (changes []Change, err error) {
	isFirst := k.kept == nil
	for _, f := range []struct {
		path    string
		deleted bool // if it is missing
		pods    []program
	}{
		{o.ConfigFolder, true, programs},
		{o.run(nameHAProxy, ""), !isFirst, []program{haproxy}},
		{o.run(nameKeepalived, ""), !isFirst, []program{keepalived}},
	} {
		wasThere := isThere(f.path)
		if err := os.MkdirAll(f.path, 0o700); err != nil {
			return changes, err
		}
		if !f.deleted || wasThere {
			continue
		}
		for _, p := range f.pods {
			k.unseen = k.unseen || p.name == nameKeepalived && isThere(o.manifest(p.name))
			changes, err = k.remove(changes, err, o.manifest(p.name), deadEnd)
			err = errors.Join(err, removeIfThere(o.run(p.name, p.begun)))
		}
	}
	return changes, err
}

// Guard is the part of Keep that needs no files, for when it is not known which are right: it cleans up, and takes the VIP of a Keepalived that is gone off.
func (k *Keeper) Guard() ([]Change, error) { return k.guard(k.Options.withDefaults(), nil) }

// guard takes the VIP of the configuration that there is off, and those of one that comes.
func (k *Keeper) guard(o Options, coming []netip.Addr) ([]Change, error) {
	changes, err := k.look(o)
	if err != nil || k.silent < looks {
		return changes, err
	}
	return k.takeOff(changes, append(vipsOf(o), coming...))
}

// inOrder gives files as they are written.
func inOrder(o Options, files []File) ([]File, error) {
	place := func(f File) int { return slices.Index(o.paths(), f.Path) }
	if len(files) == 0 || slices.ContainsFunc(files, func(f File) bool { return place(f) < 0 }) {
		return nil, ErrFiles
	}
	return slices.SortedFunc(slices.Values(files), func(a, b File) int { return place(a) - place(b) }), nil
}

// Remove takes the front end away, for a node that has left the plan: by and by, so it is called until it is done. Keepalived's manifest goes first, so that
// another member has the VIP before HAProxy ends; the configuration, which tells what the VIP was, goes last, when the VIP is off. A kubelet that
// does not run ends no Keepalived, and nothing is done before it does.
func (k *Keeper) Remove() (changes []Change, done bool, err error) {
	o := k.Options.withDefaults()
	changes, err = k.look(o)
	before := len(changes)
	if changes, err = k.remove(changes, err, o.manifest(nameKeepalived), unwanted); err != nil || len(changes) > before || !k.gone(o) {
		return changes, false, err
	}
	if changes, err = k.takeOff(changes, vipsOf(o)); err != nil {
		return changes, false, err
	}
	for _, path := range slices.Backward(o.paths()) {
		changes, err = k.remove(changes, err, path, unwanted)
	}
	for _, path := range o.runs() {
		err = errors.Join(err, removeIfThere(path))
	}
	return changes, err == nil, err
}

// looks in succession are needed to know that Keepalived is gone: when it reloads it has no socket for a moment.
const looks = 2

// gone tells whether our Keepalived has ended, for one that is to end: without a socket, or with its process id taken away, which it does itself when
// it is asked to end. So the node may have another Keepalived, for purposes of its own. A process id that went with its folder proves nothing.
func (k *Keeper) gone(o Options) bool {
	return k.silent >= looks || !k.unseen && !isThere(o.run(nameKeepalived, filePID))
}

// watchRun notes when Keepalived's run folder goes. A Keepalived that has begun since then shows its process id in the next one.
func (k *Keeper) watchRun(o Options) {
	isHere := isThere(o.run(nameKeepalived, ""))
	k.unseen = (k.unseen || k.sawRun && !isHere) && !isThere(o.run(nameKeepalived, filePID))
	k.sawRun = isHere
}

// look cleans up, and sees whether somebody speaks VRRP.
func (k *Keeper) look(o Options) (changes []Change, err error) {
	if k.kept == nil {
		k.kept, k.refused = map[string]string{}, map[string]string{}
	}
	for _, path := range slices.Concat(o.paths(), o.runs()) {
		switch failed := os.Remove(temporary(path)); {
		case failed == nil:
			changes = append(changes, Change{Cleaned, temporary(path), "left by a write that did not end"})
		case !errors.Is(failed, os.ErrNotExist):
			err = errors.Join(err, failed)
		}
	}
	k.watchRun(o)
	speaks, failed := k.node().SpeaksVRRP()
	switch {
	case failed != nil:
		err = errors.Join(err, failed)
	case speaks:
		k.silent = 0
	default:
		k.silent++
	}
	return changes, err
}

func (k *Keeper) node() Node {
	if k.Node == nil {
		return System{}
	}
	return k.Node
}

func (k *Keeper) takeOff(changes []Change, vips []netip.Addr) ([]Change, error) {
	var err error
	for _, vip := range vips {
		interfaces, failed := k.node().TakeOff(vip)
		err = errors.Join(err, failed)
		for _, name := range interfaces {
			changes = append(changes, Change{TakenOff, name, fmt.Sprintf("%s was left there by a Keepalived that is gone", vip)})
		}
	}
	return changes, err
}

// vipsOf finds the VIP of the configuration that there is. What cannot be read is put right, or fails, elsewhere.
func vipsOf(o Options) []netip.Addr {
	there, _ := os.ReadFile(o.config(fileKeepalived))
	return vipsIn(there)
}

// vipsIn finds the VIP of one of our configurations of Keepalived.
func vipsIn(config []byte) (vips []netip.Addr) {
	_, after, found := strings.Cut(string(config), "virtual_ipaddress {\n")
	if fields := strings.Fields(after); found && len(fields) > 0 {
		if p, err := netip.ParsePrefix(fields[0]); err == nil {
			vips = append(vips, p.Addr())
		}
	}
	return vips
}

func contentOf(files []File, path string) []byte {
	for _, f := range files {
		if f.Path == path {
			return f.Content
		}
	}
	return nil
}

// put makes one file right.
func (k *Keeper) put(f File) (change Change, differed bool, err error) {
	why, err := differs(f)
	if err == nil && why != "" {
		err = Write(f)
	}
	if err != nil {
		return Change{}, false, err
	}
	what := Written
	if k.kept[f.Path] == string(f.Content) {
		what = Restored
	}
	k.kept[f.Path] = string(f.Content)
	return Change{what, f.Path, why}, why != "", nil
}

// Why files are removed.
const (
	unwanted = "the plan has no use for it"
	deadEnd  = "a folder of its Pod was deleted, and is another one now"
)

func (k *Keeper) remove(changes []Change, err error, path, why string) ([]Change, error) {
	if !isThere(path) {
		return changes, err
	}
	if failed := os.Remove(path); failed != nil {
		return changes, errors.Join(err, failed)
	}
	delete(k.kept, path)
	return append(changes, Change{Removed, path, why}), errors.Join(err, syncFolder(filepath.Dir(path)))
}

// ErrFiles says that what is to be kept was not rendered with the Keeper's options.
var ErrFiles = errors.New("staticpod: no files, or not those of Render with these options")
