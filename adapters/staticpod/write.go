package staticpod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

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
	case bytes.HasPrefix(f.Content, there) && !bytes.HasSuffix(there, []byte("\n")):
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

// temporary is where a file is written before it gets its name: beside its folder, where the kubelet does not look. It is always the same one, so
// that the next writer finds what a crash has left.
func temporary(path string) string {
	folder := filepath.Dir(path)
	return filepath.Join(filepath.Dir(folder), ".viplog-"+filepath.Base(folder)+"-"+filepath.Base(path)+".new")
}

// Write makes a file what it has to be. A reader, also after a crash, sees all of it or what was there before. What is begun lies beside the folder
// meanwhile, which the caller has to be allowed to write too.
func Write(f File) error {
	unnamed := temporary(f.Path)
	if err := removeIfThere(unnamed); err != nil {
		return err
	}
	file, err := os.OpenFile(unnamed, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(f.Content)
	err = errors.Join(err, file.Chmod(f.Mode), file.Sync(), file.Close())
	if info, failed := os.Lstat(f.Path); err == nil && failed == nil && !info.Mode().IsRegular() {
		err = os.Remove(f.Path) // a link, or a folder if it is empty
	}
	if err == nil {
		err = os.Rename(unnamed, f.Path)
	}
	if err == nil {
		return syncFolder(filepath.Dir(f.Path))
	}
	if errors.Is(err, syscall.EXDEV) {
		err = fmt.Errorf("%w: %s and %s", ErrFileSystems, filepath.Dir(unnamed), filepath.Dir(f.Path))
	}
	return errors.Join(err, removeIfThere(unnamed))
}

// isThere is also true of what cannot be looked at.
func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ErrFileSystems says that a folder is on another file system than the folder that it is in, so that nothing can be renamed into it.
var ErrFileSystems = errors.New("staticpod: two file systems")
