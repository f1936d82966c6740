package staticpod

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"
)

// program reads a configuration.
type program struct {
	name, config string
	ask          func(Options) (answer, error) // to read it again
}

var programs = []program{{nameHAProxy, fileHAProxy, reloadHAProxy}, {nameKeepalived, fileKeepalived, reloadKeepalived}}

// answer is what comes of asking a program to reload.
type answer int

const (
	absent  answer = iota // it does not run: it is asked again by the next look, for it may have begun with the old configuration
	current               // it has begun with the one that there is
	reloads
)

// reload has programs read what they have not read yet. Which configuration a program has loaded is in a file, so that a crash between
// writing and asking loses nothing, and a start of viplog asks for nothing.
func (k *Keeper) reload(o Options, files []File) (changes []Change, err error) {
	for _, p := range programs {
		sum := sha256.Sum256(contentOf(files, o.config(p.config)))
		asked, failed := k.reloadOne(o, p, hex.EncodeToString(sum[:]))
		if asked {
			changes = append(changes, Change{Reloaded, p.name, "it had another configuration"})
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("reload %s: %w", p.name, failed))
		}
	}
	return changes, err
}

func (k *Keeper) reloadOne(o Options, p program, sum string) (asked bool, err error) {
	loaded := File{o.run(p.name, fileLoaded), []byte(sum + "\n"), modeFile}
	if why, err := differs(loaded); err != nil || why == "" {
		return false, err
	}
	if k.refused[p.name] == sum {
		return false, ErrRefused // once is enough: HAProxy counts reloads that fail when it ends workers that have seen too many
	}
	a, err := p.ask(o)
	if errors.Is(err, ErrRefused) {
		k.refused[p.name] = sum
	}
	if a == absent || err != nil {
		return false, err
	}
	return a == reloads, Write(loaded)
}

// readsWithin bounds the time from the start of Keepalived, when it writes its process id, to when it has read its configuration.
const readsWithin = time.Second

// reloadKeepalived names a time: its file knows whole seconds, and of one that is past Keepalived would take no notice. One that has just begun is left
// alone: it would wait for a master anew.
func reloadKeepalived(o Options) (answer, error) {
	began, err := os.Stat(o.run(nameKeepalived, filePID))
	if errors.Is(err, os.ErrNotExist) {
		return absent, nil
	}
	written, failed := os.Stat(o.config(fileKeepalived))
	if err = errors.Join(err, failed); err != nil {
		return absent, err
	}
	if began.ModTime().After(written.ModTime().Add(readsWithin)) {
		return current, nil
	}
	at := time.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
	return reloads, Write(File{o.run(nameKeepalived, fileReload), []byte(at.Format("2006-01-02 15:04:05Z") + "\n"), modeFile})
}

// ErrRefused says that a program does not take a configuration, and goes on with the old one.
var ErrRefused = errors.New("staticpod: the configuration was refused")
