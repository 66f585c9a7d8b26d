package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/fault"
)

// A PasswordFunc asks a person for a key's password. If confirm is true, the password is a
// new one, and the person types it twice.
type PasswordFunc func(confirm bool) ([]byte, error)

// Keygen makes an ECDSA P-256 key pair as "cosign generate-key-pair" does. It writes
// base.key (mode 0600, encrypted with a password) and base.pub (mode 0644). The password is
// $COSIGN_PASSWORD if that is set, even if it is empty; otherwise it is the answer of ask.
// Keygen never replaces a file: if one exists, the error is fs.ErrExist.
func Keygen(base string, ask PasswordFunc) error {
	key, pub := base+".key", base+".pub"
	for _, path := range []string{key, pub} {
		if _, err := os.Lstat(path); err == nil {
			return &fault.Fault{Doing: "write a key pair to " + path, Err: fs.ErrExist, Fix: "give the pair another name with --output"}
		}
	}
	password, err := password(key, true, ask)
	if err != nil {
		return err
	}
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		return fmt.Errorf("make a key pair: %w", err)
	}
	// Write the private key last: if it exists, so does its public key.
	if err := writeNew(pub, pair.PublicBytes, 0o644); err != nil {
		return fmt.Errorf("write the public key: %w", err)
	}
	if err := writeNew(key, pair.PrivateBytes, 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the private key: %w", err), os.Remove(pub))
	}
	return nil
}

// writeNew creates a file that is complete as soon as it has its name. It fails if the name
// is taken. So it links the file to the name: a rename would replace an existing file.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	file, err := atomicfile.Create(filepath.Dir(path), mode)
	if err != nil {
		return err
	}
	defer file.Discard()
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(mode), file.Sync()); err != nil {
		return err
	}
	return file.Link(path)
}
