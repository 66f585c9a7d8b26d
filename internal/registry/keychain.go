package registry

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
)

// Keychain finds logins in docker's config file and in podman's auth files, and with the
// credential helpers that they name. The first file that knows the registry counts. If a
// helper fails, that is a warning, and the next file is read.
// https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
type Keychain struct {
	notes func(string)

	mu    sync.Mutex           // helpers are asked one at a time
	files map[string]*authFile // by path
	noted map[string]bool      // warnings that were given
}

// NewKeychain reads no file yet. notes gets warnings about helpers; nil drops them.
func NewKeychain(notes func(string)) *Keychain {
	return &Keychain{notes: notes, files: map[string]*authFile{}, noted: map[string]bool{}}
}

// loginsLast is how long logins are kept in memory: a release has many repositories, and
// the passwords of some helpers expire.
const loginsLast = time.Minute

// authFile is a file of logins that was read.
type authFile struct {
	when       time.Time
	file       *configfile.ConfigFile      // with the logins to registries, without its helpers
	helpers    map[string]string           // by registry
	helper     string                      // for all other registries; "": none
	namespaced map[string]types.AuthConfig // by REGISTRY/NAMESPACE
	known      map[string]types.AuthConfig // by registry, from the file or its helper
}

// authFiles returns the files of logins, in the order of reading: the one that the
// environment names, docker's, podman's of this session, podman's permanent one.
func authFiles() []string {
	var files []string
	if named := os.Getenv("REGISTRY_AUTH_FILE"); named != "" {
		files = append(files, named)
	}
	return append(append(files, dockerFile()), podmanFiles()...)
}

func dockerFile() string {
	home, _ := os.UserHomeDir()
	return filepath.Join(cmp.Or(os.Getenv("DOCKER_CONFIG"), filepath.Join(home, ".docker")), "config.json")
}

// podmanFiles leaves out a session's file in a folder that this user must not enter: it is
// another user's. Root's podman closes /run/containers.
func podmanFiles() []string {
	home, _ := os.UserHomeDir()
	session := filepath.Join("/run/containers", strconv.Itoa(os.Getuid()), "auth.json")
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		session = filepath.Join(runtime, "containers", "auth.json")
	}
	lasting := filepath.Join(cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")), "containers", "auth.json")
	if _, err := os.Stat(session); errors.Is(err, fs.ErrPermission) {
		return []string{lasting}
	}
	return []string{session, lasting}
}

// Resolve returns the login to a registry or a repository.
func (k *Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, path := range authFiles() {
		found, err := k.login(path, target)
		if err != nil {
			return nil, &fault.Fault{Doing: fmt.Sprintf("looking for the login to %s in %s", target.RegistryStr(), path),
				Err: errors.New(text.Short(err.Error(), 200)), Fix: "fix the file, or delete it and log in again with: libre login " + target.RegistryStr()}
		}
		if found != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: found.Username, Password: found.Password, Auth: found.Auth,
				IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

// login returns the login that a file, or its helper, has for a repository, one of its
// namespaces, or its registry. The library knows only registries: it would use a namespace's
// login for the whole registry.
func (k *Keychain) login(path string, target authn.Resource) (types.AuthConfig, error) {
	f, err := k.read(path)
	if err != nil {
		return types.AuthConfig{}, err
	}
	registry := target.RegistryStr()
	repository := strings.TrimPrefix(target.String(), registry)
	if registry == name.DefaultRegistry {
		registry = "docker.io" // as the files name it
	}
	for ; repository != ""; repository = repository[:strings.LastIndex(repository, "/")] {
		if login, found := f.namespaced[registry+repository]; found {
			return withoutAddress(login), nil
		}
	}
	if login, known := f.known[registry]; known {
		return login, nil
	}
	login := k.helped(f, registry)
	if login == (types.AuthConfig{}) {
		login, err = f.file.GetAuthConfig(registry)
	}
	if login = withoutAddress(login); err == nil && login == (types.AuthConfig{}) && registry == "docker.io" {
		login = withoutAddress(f.file.AuthConfigs[registry])
	}
	if err == nil {
		f.known[registry] = login
	}
	return login, err
}

// helped returns the login from the helper for a registry, if there is one.
func (k *Keychain) helped(f *authFile, registry string) types.AuthConfig {
	for _, key := range serverKeys(registry) {
		helper := cmp.Or(f.helpers[key], f.helpers[registry], f.helper)
		if helper == "" {
			continue
		}
		login, err := askHelper(helper, key)
		if err != nil {
			k.note(fmt.Sprintf("the login to %s: %s (set in %s); trying other logins", registry, err, f.file.Filename))
			return types.AuthConfig{}
		}
		if login != (types.AuthConfig{}) {
			return login
		}
	}
	return types.AuthConfig{}
}

func (k *Keychain) note(text string) {
	if k.notes != nil && !k.noted[text] {
		k.noted[text] = true
		k.notes(text)
	}
}

// serverKeys returns the names of a registry in files and for helpers.
func serverKeys(registry string) []string {
	if registry == "docker.io" {
		return []string{authn.DefaultAuthKey, registry}
	}
	return []string{registry}
}

// read reads a file of logins, unless it was read within loginsLast.
func (k *Keychain) read(path string) (*authFile, error) {
	if f := k.files[path]; f != nil && time.Since(f.when) < loginsLast {
		return f, nil
	}
	file, err := loadAuthFile(path)
	if err != nil {
		return nil, err
	}
	f := &authFile{
		when: time.Now(), file: file, helpers: file.CredentialHelpers, helper: file.CredentialsStore,
		namespaced: map[string]types.AuthConfig{}, known: map[string]types.AuthConfig{},
	}
	file.CredentialHelpers, file.CredentialsStore = nil, ""
	for key, login := range file.AuthConfigs {
		if strings.Contains(key, "/") && !strings.Contains(key, "://") && !isOldKey(key) {
			f.namespaced[key] = login
			delete(file.AuthConfigs, key)
		}
	}
	k.files[path] = f
	return f, nil
}

// isOldKey reports whether a key is a registry as docker once wrote it, HOST/v1/, and not
// a namespace.
func isOldKey(key string) bool {
	_, path, _ := strings.Cut(strings.TrimSuffix(key, "/"), "/")
	return path == "" || path == "v1" || path == "v2"
}

func withoutAddress(login types.AuthConfig) types.AuthConfig {
	login.ServerAddress = ""
	return login
}

// loadAuthFile reads a file of logins. A missing file has none.
func loadAuthFile(path string) (*configfile.ConfigFile, error) {
	file := configfile.New(path)
	content, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return nil, err
	}
	defer content.Close()
	if err := file.LoadFromReader(content); !errors.Is(err, io.EOF) { // an empty file has no logins
		return file, err
	}
	return file, nil
}
