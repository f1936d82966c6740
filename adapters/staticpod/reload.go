package staticpod

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// program reads a configuration.
type program struct {
	name, config string
	ask          func(Options) (asked bool, err error) // to read it again; false if it does not run
}

var programs = []program{{nameHAProxy, fileHAProxy, reloadHAProxy}, {nameKeepalived, fileKeepalived, reloadKeepalived}}

// reload has programs read what they have not read yet. Which configuration a program was asked to load last is in a file, so that a crash between
// writing and asking loses nothing, and a start of viplog asks for nothing. A program that does not run is asked again by the next look: it may have begun
// with the old configuration.
func (k *Keeper) reload(o Options, files []File) (changes []Change, err error) {
	for _, p := range programs {
		sum := sha256.Sum256(contentOf(files, o.config(p.config)))
		asked, failed := k.reloadOne(o, p, hex.EncodeToString(sum[:]))
		if asked {
			changes = append(changes, Change{Reloaded, p.name, "it was not yet asked to load this configuration"})
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
	asked, err = p.ask(o)
	if errors.Is(err, ErrRefused) {
		k.refused[p.name] = sum
	}
	if !asked || err != nil {
		return false, err
	}
	return true, Write(loaded)
}

// reloadKeepalived names a time: its file knows whole seconds, and of one that is past Keepalived would take no notice.
func reloadKeepalived(o Options) (asked bool, err error) {
	at := time.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
	unread := File{o.run(nameKeepalived, fileReload), []byte(at.Format("2006-01-02 15:04:05Z") + "\n"), modeFile}
	return true, Write(unread)
}

// ErrRefused says that a program does not take a configuration, and goes on with the old one.
var ErrRefused = errors.New("staticpod: the configuration was refused")
