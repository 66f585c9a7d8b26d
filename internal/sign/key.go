package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/lazyregexp"
)

// PasswordVariable is the environment variable with the password of private keys.
const PasswordVariable = "COSIGN_PASSWORD"

// envPrefix starts the name of a key in an environment variable.
const envPrefix = "env://"

var variableName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readKeyText reads a key from a file or, for env://NAME, from a variable.
func readKeyText(from string) ([]byte, error) {
	if variable, ok := strings.CutPrefix(from, envPrefix); ok {
		// Text that is not a variable's name may be the key itself, so the error must not
		// contain it.
		if !variableName().MatchString(variable) {
			return nil, errors.New("read a key: expected env:// and the name of a variable")
		}
		text, ok := os.LookupEnv(variable)
		if !ok {
			return nil, fmt.Errorf("read a key: $%s is not set", variable)
		}
		return []byte(text), nil
	}
	if strings.Contains(from, "-----BEGIN") {
		return nil, errors.New("read a key: expected the name of a file or env://NAME, not the key")
	}
	text, err := file.Read(from)
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	return text, nil
}

// password returns a private key's password from the environment or from a person.
func password(key string, confirm bool, ask PasswordFunc) ([]byte, error) {
	if value, ok := os.LookupEnv(PasswordVariable); ok {
		return []byte(value), nil
	}
	if ask == nil {
		return nil, credentialFault(fmt.Errorf("password of %s: $%s is not set, and there is no terminal to ask", key, PasswordVariable))
	}
	answer, err := ask(confirm)
	if err != nil {
		return nil, credentialFault(fmt.Errorf("password of %s: %w", key, err))
	}
	return answer, nil
}

// readPrivateKey reads and decrypts a private key.
func readPrivateKey(from string, ask PasswordFunc) (*keyPair, error) {
	text, err := readKeyText(from)
	if err != nil {
		return nil, err
	}
	secret, err := password(from, false, ask)
	if err != nil {
		return nil, err
	}
	signer, err := cosign.LoadPrivateKey(text, secret, nil)
	if err != nil {
		if strings.Contains(err.Error(), "decryption failed") {
			return nil, credentialFault(fmt.Errorf("open the private key %s: wrong password", from))
		}
		return nil, fmt.Errorf("open the private key %s: not a private key of cosign or libre keygen", from) // err may quote it
	}
	public, err := signer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("open the private key %s: %w", from, err)
	}
	details, err := supportedKey(public)
	if err != nil {
		return nil, fmt.Errorf("open the private key %s: %w", from, err)
	}
	return &keyPair{signer: signer, public: public, details: details}, nil
}

// ReadPublicKey reads a public key in PEM from a file or, for env://NAME, from a variable.
// The error is fs.ErrNotExist if there is no such file.
func ReadPublicKey(from string) (crypto.PublicKey, error) {
	text, err := readKeyText(from)
	if err != nil {
		return nil, err
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the public key %s: expected -----BEGIN PUBLIC KEY-----", from) // err may quote it
	}
	if _, err := supportedKey(public); err != nil {
		return nil, fmt.Errorf("read the public key %s: %w", from, err)
	}
	return public, nil
}

// supportedKey refuses keys for which the two formats and the versions of cosign use
// different hashes: Ed25519 and the larger curves.
func supportedKey(public crypto.PublicKey) (signature.AlgorithmDetails, error) {
	details, err := signature.GetDefaultAlgorithmDetails(public)
	if err != nil {
		return details, err
	}
	if details.GetHashType() != crypto.SHA256 {
		return details, fmt.Errorf("%T with this hash is not supported, expected ECDSA P-256 (libre keygen) or RSA", public)
	}
	return details, nil
}

// publicKeyName returns the file name, by convention, of the public key of a private key.
// It returns "" if the convention does not apply.
func publicKeyName(private string) string {
	base, ok := strings.CutSuffix(private, ".key")
	if !ok || strings.HasPrefix(private, envPrefix) {
		return ""
	}
	return base + ".pub"
}

// fileMissing reports whether a key file does not exist.
func fileMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// keyHint returns the hash by which a bundle names its key, as sigstore-go and cosign write
// it. It identifies a key, but proves nothing.
func keyHint(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// A keyPair is a decrypted cosign key. It implements sigstore-go's Keypair.
type keyPair struct {
	signer  signature.SignerVerifier
	public  crypto.PublicKey
	details signature.AlgorithmDetails
}

var _ sign.Keypair = (*keyPair)(nil)

func (k *keyPair) GetHashAlgorithm() protocommon.HashAlgorithm { return k.details.GetProtoHashType() }

func (k *keyPair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return k.details.GetSignatureAlgorithm()
}

func (k *keyPair) GetHint() []byte {
	hint, err := keyHint(k.public)
	if err != nil {
		return nil // cannot happen: the key was decoded from this encoding
	}
	return []byte(hint)
}

func (k *keyPair) GetKeyAlgorithm() string {
	if k.details.GetKeyType() == signature.RSA {
		return "RSA"
	}
	return "ECDSA"
}

func (k *keyPair) GetPublicKey() crypto.PublicKey { return k.public }

func (k *keyPair) GetPublicKeyPem() (string, error) {
	text, err := cryptoutils.MarshalPublicKeyToPEM(k.public)
	return string(text), err
}

// SignData signs data and returns the signature and the digest that was signed.
func (k *keyPair) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	sum := sha256.Sum256(data)
	sig, err := k.signer.SignMessage(bytes.NewReader(data))
	return sig, sum[:], err
}
