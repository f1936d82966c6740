package staticpod

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Keeper keeps the front end of one node as it was rendered. Its methods look once each, and are called again and again, by one goroutine.
// Nobody else writes its files.
type Keeper struct {
	Options Options // those of Render
	Node    Node    // nil: the network namespace that the caller is in

	kept   map[string]string // what the files held when they were last right, by path
	silent int               // how many looks in succession found nobody who speaks VRRP
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
	Reloaded What = "reloaded"  // a program was asked to read its configuration again
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
	if len(files) == 0 || slices.ContainsFunc(files, func(f File) bool { return !slices.Contains(o.paths(), f.Path) }) {
		return nil, ErrFiles
	}
	wanted := slices.Clone(files)
	slices.SortFunc(wanted, func(a, b File) int { return slices.Index(o.paths(), a.Path) - slices.Index(o.paths(), b.Path) })

	for _, folder := range []string{o.ConfigFolder, o.run(nameHAProxy, ""), o.run(nameKeepalived, "")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	changes, err = k.begin(o, contentOf(wanted, o.config(fileKeepalived)))
	for _, f := range wanted {
		if err != nil {
			return changes, err // a manifest without its configuration would start a program in vain
		}
		var c []Change
		c, err = k.put(f)
		changes = append(changes, c...)
	}
	if err != nil {
		return changes, err
	}
	for _, path := range o.paths() {
		if !slices.ContainsFunc(wanted, func(f File) bool { return f.Path == path }) {
			changes, err = k.remove(changes, err, path)
		}
	}
	reloads, failed := reload(o, wanted)
	return append(changes, reloads...), errors.Join(err, failed)
}

// Remove takes the front end away, for a node that has left the plan: by and by, so it is called until it is done. Keepalived's manifest goes first, so that
// another member has the VIP before HAProxy ends; the configuration, which tells what the VIP was, goes last, when the VIP is off.
func (k *Keeper) Remove() (changes []Change, done bool, err error) {
	o := k.Options.withDefaults()
	changes, err = k.begin(o, nil)
	if changes, err = k.remove(changes, err, o.manifest(nameKeepalived)); err != nil || k.silent < looks {
		return changes, false, err
	}
	for _, path := range slices.Backward(o.paths()) {
		changes, err = k.remove(changes, err, path)
	}
	for _, p := range []string{nameKeepalived, nameHAProxy} {
		err = errors.Join(err, removeIfThere(o.run(p, fileLoaded)))
	}
	err = errors.Join(err, removeIfThere(o.run(nameKeepalived, fileReload)))
	return changes, err == nil, err
}

// looks in succession are needed to know that Keepalived is gone: when it reloads it has no socket for a moment.
const looks = 2

// begin cleans up, and takes VIPs off where Keepalived is gone: those of the configuration that there is and of the one that comes.
func (k *Keeper) begin(o Options, coming []byte) (changes []Change, err error) {
	if k.kept == nil {
		k.kept = map[string]string{}
	}
	for _, path := range append(o.paths(), o.run(nameKeepalived, fileReload), o.run(nameKeepalived, fileLoaded), o.run(nameHAProxy, fileLoaded)) {
		switch failed := os.Remove(temporary(path)); {
		case failed == nil:
			changes = append(changes, Change{Cleaned, temporary(path), "left by a write that did not end"})
		case !errors.Is(failed, os.ErrNotExist):
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		return changes, err
	}
	there, _ := os.ReadFile(o.config(fileKeepalived)) // what cannot be read is put right, or fails, later
	off, err := k.guard(slices.Concat(vipsOf(there), vipsOf(coming)))
	return append(changes, off...), err
}

func (k *Keeper) guard(vips []netip.Addr) (changes []Change, err error) {
	node := k.Node
	if node == nil {
		node = System{}
	}
	switch speaks, err := node.SpeaksVRRP(); {
	case err != nil:
		return nil, err
	case speaks:
		k.silent = 0
		return nil, nil
	}
	if k.silent++; k.silent < looks {
		return nil, nil
	}
	for _, vip := range vips {
		interfaces, failed := node.TakeOff(vip)
		err = errors.Join(err, failed)
		for _, name := range interfaces {
			changes = append(changes, Change{TakenOff, name, fmt.Sprintf("%s was left there by a Keepalived that is gone", vip)})
		}
	}
	return changes, err
}

// vipsOf finds the VIP of one of our configurations of Keepalived.
func vipsOf(config []byte) (vips []netip.Addr) {
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
func (k *Keeper) put(f File) ([]Change, error) {
	why, err := differs(f)
	if err != nil || why == "" {
		if err == nil {
			k.kept[f.Path] = string(f.Content)
		}
		return nil, err
	}
	if err := Write(f); err != nil {
		return nil, err
	}
	what := Written
	if k.kept[f.Path] == string(f.Content) {
		what = Restored
	}
	k.kept[f.Path] = string(f.Content)
	return []Change{{what, f.Path, why}}, nil
}

func (k *Keeper) remove(changes []Change, err error, path string) ([]Change, error) {
	if _, missing := os.Lstat(path); errors.Is(missing, os.ErrNotExist) {
		return changes, err
	}
	if failed := os.Remove(path); failed != nil {
		return changes, errors.Join(err, failed)
	}
	delete(k.kept, path)
	return append(changes, Change{Removed, path, "the plan has no use for it"}), errors.Join(err, syncFolder(filepath.Dir(path)))
}

// differs says how the file that is there differs from what it has to be; "" if it does not.
func differs(f File) (why string, err error) {
	info, err := os.Lstat(f.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "missing", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return fmt.Sprintf("no regular file: %s", info.Mode().Type()), nil // Keepalived passes over it without a word
	}
	there, err := os.ReadFile(f.Path)
	switch {
	case err != nil:
		return "", err
	case bytes.Equal(there, f.Content) && info.Mode().Perm() == f.Mode:
		return "", nil
	case bytes.Equal(there, f.Content):
		return fmt.Sprintf("its mode was %#o", info.Mode().Perm()), nil
	case bytes.HasPrefix(f.Content, there):
		return fmt.Sprintf("cut short after %d bytes", len(there)), nil
	}
	return fmt.Sprintf("changed from line %d", 1+sameLines(there, f.Content)), nil
}

func sameLines(a, b []byte) (n int) {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for n < len(as) && n < len(bs) && bytes.Equal(as[n], bs[n]) {
		n++
	}
	return n
}

// ErrFiles says that what is to be kept was not rendered with the Keeper's options.
var ErrFiles = errors.New("staticpod: no files, or not those of Render with these options")
