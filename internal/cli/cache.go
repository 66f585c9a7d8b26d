package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
)

// binaryCache is the cache of libre.yaml, nil for none. Its key can be read. A key from a
// variable is in a file in memory until close is called: Nix takes a file. A machine without the
// key copies nothing, such as that of a colleague, or of a pull request.
func (e *env) binaryCache(ws *workspace) (cache *nix.BinaryCache, close func(), err error) {
	set := ws.settings.Cache
	if set.To == "" {
		return nil, func() {}, nil
	}
	if lacks := lacksKey(set.Key); lacks != "" {
		e.Warnf("nothing is copied to %s, because %s (cache.key in libre.yaml)", set.To, lacks)
		return nil, func() {}, nil
	}
	cache, close = &nix.BinaryCache{To: set.To, KeyFile: set.Key}, func() {}
	if variable, ok := strings.CutPrefix(set.Key, "env://"); ok {
		if cache.KeyFile, close, err = keyInFile(variable); err != nil {
			return nil, nil, err
		}
	}
	if err := nix.CheckCacheKey(cache.KeyFile, set.Key); err != nil {
		close()
		return nil, nil, err
	}
	return cache, close, nil
}

// lacksKey returns why this machine has no key, or "" if it has one.
func lacksKey(key string) string {
	if variable, ok := strings.CutPrefix(key, "env://"); ok {
		if os.Getenv(variable) == "" {
			return variable + " is not set"
		}
		return ""
	}
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		return "there is no file " + key
	}
	return ""
}

// keyInFile puts a variable into a file in memory, so that a killed run leaves no key behind.
func keyInFile(variable string) (file string, remove func(), err error) {
	fd, err := unix.MemfdCreate(variable, unix.MFD_CLOEXEC)
	if err != nil {
		return "", nil, fmt.Errorf("keeping the key of the cache in memory: %w", err)
	}
	key := os.NewFile(uintptr(fd), variable)
	if _, err := key.WriteString(os.Getenv(variable)); err != nil {
		key.Close()
		return "", nil, err
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), func() { key.Close() }, nil
}

// copyToCache copies what was built. Its error does not mean that an image failed.
func (e *env) copyToCache(ctx context.Context, cache *nix.BinaryCache, builder *build.Builder) error {
	if cache == nil {
		return nil
	}
	outputs, err := builder.CopyTo(ctx, *cache)
	var known *fault.Fault
	switch {
	case errors.As(err, &known), ctx.Err() != nil:
		return err
	case err != nil:
		return &fault.Fault{Err: err, Fix: "run the same command again, which copies what is missing"}
	case outputs > 0:
		e.Notef("%s has what the images are made of", cache.To)
	}
	return nil
}

// both is the error of images, and that of the cache after it.
func (e *env) both(ofImages, ofCache error) error {
	if ofImages == nil {
		return ofCache
	}
	if ofCache != nil {
		e.Warnf("%v", ofCache)
	}
	return ofImages
}
