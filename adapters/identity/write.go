package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

// WriteFile writes a file so that a reader, also after a crash, sees all of it or none, and leaves one alone that is so already.
func WriteFile(path string, data []byte, mode os.FileMode) error { return write(path, data, mode) }

func write(path string, data []byte, mode os.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm() == mode {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			return nil
		}
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*") // readable by its owner only
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
