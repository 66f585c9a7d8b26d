package compose

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// servers add a server for a need, by its kind. Their user is one of the image, by name,
// where the image would begin as root.
var servers = map[string]func(r *renderer, need, host string) error{
	"postgres": (*renderer).addPostgres,
	"mysql":    (*renderer).addMySQL,
	"redis":    (*renderer).addRedis,
	"bucket":   (*renderer).addBucket,
	"oidc":     (*renderer).addProvider,
	"smtp":     (*renderer).addMail,
	"volume":   func(*renderer, string, string) error { return nil },
}

// addNeeds adds a server for each need.
func (r *renderer) addNeeds() error {
	for _, need := range slices.Sorted(maps.Keys(r.Needs)) {
		if parts, given := r.o.Provided[need]; given {
			r.parts[need] = parts
			continue
		}
		kind := r.Needs[need].Kind
		add, known := servers[kind]
		if !known {
			return fmt.Errorf("compose has no server for the need %s of kind %s: it has those of the kinds %s", need, kind, strings.Join(slices.Sorted(maps.Keys(servers)), ", "))
		}
		if err := add(r, need, r.name(need)); err != nil {
			return fmt.Errorf("need %s: %w", need, err)
		}
	}
	return nil
}

// addServer adds the server of a need, with its data in a volume if it has any.
func (r *renderer) addServer(need, host string, s *Service, data string) {
	if data != "" {
		s.Volumes = append(s.Volumes, r.volume(host+"-data")+":"+data)
	}
	condition := Healthy
	if s.Healthcheck == nil {
		condition = Started
	}
	r.project.Services[host] = s
	r.needs[need] = map[string]Dependency{host: {condition}}
}

// user is the name of a database and its role.
const user = "app"

func (r *renderer) addPostgres(need, host string) error {
	password := r.part(need, "password")
	s := newService(r.image("postgres")).checked("pg_isready", "--host=127.0.0.1", "--username="+user)
	s.User, s.Tmpfs = "postgres", []string{"/tmp", "/run/postgresql"}
	s.Environment = map[string]string{"POSTGRES_USER": user, "POSTGRES_DB": user}
	r.parts[need] = database("postgres", host, "5432", password)
	r.addServer(need, host, s, "/var/lib/postgresql/data")
	return r.addSecretEnv(host, s, map[string]string{"POSTGRES_PASSWORD": password})
}

func (r *renderer) addMySQL(need, host string) error {
	password := r.part(need, "password")
	s := newService(r.image("mysql")).checked("healthcheck.sh", "--connect", "--innodb_initialized")
	s.User, s.Tmpfs = "mysql", []string{"/tmp", "/run/mysqld"}
	s.Environment = map[string]string{"MARIADB_USER": user, "MARIADB_DATABASE": user, "MARIADB_RANDOM_ROOT_PASSWORD": "1"}
	r.parts[need] = database("mysql", host, "3306", password)
	r.addServer(need, host, s, "/var/lib/mysql")
	return r.addSecretEnv(host, s, map[string]string{"MARIADB_PASSWORD": password})
}

func database(scheme, host, port, password string) map[string]string {
	server := url.URL{Scheme: scheme, User: url.UserPassword(user, password), Host: host + ":" + port, Path: user}
	return map[string]string{
		"url": server.String(), "host": host, "port": port, "name": user, "user": user, "password": password,
	}
}

// addRedis adds a server without a password: nothing from outside reaches it.
func (r *renderer) addRedis(need, host string) error {
	s := newService(r.image("redis")).checked("valkey-cli", "ping")
	s.User = "valkey"
	r.parts[need] = map[string]string{"url": "redis://" + host + ":6379/0", "host": host, "port": "6379", "user": "", "password": ""}
	r.addServer(need, host, s, "/data")
	return nil
}

// addBucket adds an S3 server, and a job that makes the bucket.
func (r *renderer) addBucket(need, host string) error {
	const bucket = "files"
	access, secret := r.part(need, "accessKey"), r.part(need, "secretKey")
	s := newService(r.image("bucket")).checked("mc", "ready", "local")
	s.Command = []string{"server", "/data"} // as root, without capabilities: the volume is root's
	s.Tmpfs = []string{"/tmp"}
	s.Environment = map[string]string{"MC_CONFIG_DIR": "/tmp/mc", "HOME": "/tmp"}
	endpoint := "http://" + host + ":9000"
	r.parts[need] = map[string]string{"endpoint": endpoint, "region": "us-east-1", "name": bucket, "accessKey": access, "secretKey": secret}
	r.addServer(need, host, s, "/data")
	if err := r.addSecretEnv(host, s, map[string]string{"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret}); err != nil {
		return err
	}
	job := newService(r.image("bucket")).once()
	script := "mc mb --ignore-existing need/" + bucket
	if r.Needs[need].Versioning {
		script += " && mc version enable need/" + bucket
	}
	job.Entrypoint, job.Command = []string{"sh", "-c"}, []string{script}
	job.Tmpfs = s.Tmpfs
	job.Environment = maps.Clone(s.Environment)
	job.DependsOn = map[string]Dependency{host: {Healthy}}
	name := host + "-create"
	r.project.Services[name] = job
	r.needs[need] = map[string]Dependency{host: {Healthy}, name: {Completed}}
	return r.addSecretEnv(name, job, map[string]string{"MC_HOST_need": (&url.URL{Scheme: "http", User: url.UserPassword(access, secret), Host: host + ":9000"}).String()})
}

// addMail adds a server that keeps mails, and shows them at http://127.0.0.1:8025.
func (r *renderer) addMail(need, host string) error {
	s := newService(r.image("smtp")).checked("/mailpit", "readyz")
	s.Tmpfs, s.Ports = []string{"/tmp"}, []string{"127.0.0.1:8025:8025"}
	r.parts[need] = map[string]string{
		"url": "smtp://" + host + ":1025", "host": host, "port": "1025", "user": "", "password": "", "from": "noreply@" + r.Host, "tls": "false", "startTls": "false",
	}
	r.addServer(need, host, s, "")
	return nil
}
