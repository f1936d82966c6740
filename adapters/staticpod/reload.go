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
	// begun is a file of its run folder, made when it starts, within readsWithin of reading its configuration. Without it the program is not asked.
	begun string
	// ask has it read its configuration again. false: it does not run, and is asked again by the next look, for it may have begun with the old one.
	ask func(Options) (runs bool, err error)
}

var (
	haproxy    = program{nameHAProxy, fileHAProxy, fileSocket, reloadHAProxy}
	keepalived = program{nameKeepalived, fileKeepalived, filePID, reloadKeepalived}
	programs   = []program{haproxy, keepalived}
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
	if begins, err := p.beginsWith(o); err != nil {
		return false, err
	} else if begins {
		delete(k.refused, p.name)
		return false, Write(loaded)
	}
	if k.refused[p.name] == sum {
		return false, ErrRefused // once is enough: HAProxy counts reloads that fail when it ends workers that have seen too many
	}
	runs, err := p.ask(o)
	if errors.Is(err, ErrRefused) {
		k.refused[p.name] = sum
	}
	if err != nil || !runs {
		return false, err
	}
	return true, Write(loaded)
}

// readsWithin bounds the time between the start of a program, by its file, and when it has read its configuration.
const readsWithin = time.Second

// beginsWith tells whether a program has begun, or will, with the configuration that there is. It is left alone then: Keepalived would wait for a
// master anew, and HAProxy would start another worker.
func (p program) beginsWith(o Options) (bool, error) {
	began, err := os.Stat(o.run(p.name, p.begun))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	written, failed := os.Stat(o.config(p.config))
	if err = errors.Join(err, failed); err != nil {
		return false, err
	}
	return began.ModTime().After(written.ModTime().Add(readsWithin)), nil
}

// reloadKeepalived names a time: its file knows whole seconds, and of one that is past Keepalived would take no notice.
func reloadKeepalived(o Options) (runs bool, err error) {
	if !isThere(o.run(nameKeepalived, filePID)) {
		return false, nil
	}
	at := time.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
	return true, Write(File{o.run(nameKeepalived, fileReload), []byte(at.Format("2006-01-02 15:04:05Z") + "\n"), modeFile})
}

// ErrRefused says that a program does not take a configuration, and goes on with the old one.
var ErrRefused = errors.New("staticpod: the configuration was refused")
