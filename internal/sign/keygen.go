package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/libresh/libre/internal/atomicfile"
)

// A PasswordFunc asks a person for a key's password; confirm says that the
// password is a new one and should be typed twice.
type PasswordFunc func(confirm bool) ([]byte, error)

// Keygen makes an ECDSA P-256 key pair as "cosign generate-key-pair" does and
// writes it to base.key (mode 0600, encrypted with a password) and base.pub
// (0644). The password is $COSIGN_PASSWORD where that is set, if only to
// nothing, and ask's answer otherwise. A file that exists is never replaced:
// the error then is fs.ErrExist.
func Keygen(base string, ask PasswordFunc) error {
	key, pub := base+".key", base+".pub"
	for _, path := range []string{key, pub} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("write a key pair to %s: %w", path, fs.ErrExist)
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
	// The private key comes last: where it is, its public key is too.
	if err := writeNew(pub, pair.PublicBytes, 0o644); err != nil {
		return fmt.Errorf("write the public key: %w", err)
	}
	if err := writeNew(key, pair.PrivateBytes, 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the private key: %w", err), os.Remove(pub))
	}
	return nil
}

// writeNew makes a file that is complete from the moment when it has its name,
// and fails where something has that name already. (A rename would replace it,
// a link does not.)
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
