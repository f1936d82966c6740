package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// readDisk reads what a process has left in a file; nothing where there is none.
func readDisk(path string, into any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w; if the file is damaged, delete it: this host then starts as a new one", path, err)
	}
	return nil
}

// writeDisk makes a value durable: after a crash at any moment the file holds all of it, or what it held before.
func writeDisk(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // one that a crash has left is taken
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// saver makes values durable in the background, one after the other, only the newest of those that wait.
type saver[T any] struct {
	*Host
	path  string
	saved func(T) // in the saver's goroutine
	next  chan T
}

func newSaver[T any](h *Host, path string, saved func(T)) *saver[T] {
	return &saver[T]{Host: h, path: path, saved: saved, next: make(chan T, 1)}
}

// save is called by one goroutine.
func (s *saver[T]) save(value T) {
	select {
	case <-s.next: // it had not begun
	default:
	}
	s.next <- value
}

// run goes on until the context ends, and then stores what waits.
func (s *saver[T]) run(ctx context.Context) {
	for {
		select {
		case value := <-s.next:
			s.write(ctx, value)
		case <-ctx.Done():
			select {
			case value := <-s.next:
				if err := writeDisk(s.path, value); err != nil {
					s.Logger.Error("the disk failed", "path", s.path, "error", err)
				}
			default:
			}
			return
		}
	}
}

// write tries until it has stored a value, or there is a newer one.
func (s *saver[T]) write(ctx context.Context, value T) {
	for failed := 0; ; failed++ {
		err := writeDisk(s.path, value)
		if err == nil {
			s.saved(value)
			return
		}
		if failed%failuresSaid == 0 {
			s.Logger.Error("the disk failed", "path", s.path, "error", err)
		}
		if len(s.next) > 0 || pause(ctx, retryPause) != nil {
			return
		}
	}
}
