package authapp

import (
	"context"
	"io"

	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/sqldb"
)

// command is something the program does in place of serving. It gets the
// arguments behind its name.
type command func(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error

// openDatabase opens the database of the settings for a command, and gives its
// store. Whoever gets it closes the database.
func openDatabase(ctx context.Context, cfg *Config) (*sqlstore.Store, *sqldb.DB, error) {
	return openAs(ctx, cfg, sqlstore.Beside)
}

// readDatabase is openDatabase for a command that changes nothing.
func readDatabase(ctx context.Context, cfg *Config) (*sqlstore.Store, *sqldb.DB, error) {
	return openAs(ctx, cfg, sqlstore.ReadOnly)
}

func openAs(ctx context.Context, cfg *Config, open func(context.Context, *sqldb.DB) (*sqlstore.Store, error)) (*sqlstore.Store, *sqldb.DB, error) {
	db, err := sqldb.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return nil, nil, err
	}
	store, err := open(ctx, db)
	if err != nil {
		_ = db.Close() // nothing was done
		return nil, nil, err
	}
	return store, db, nil
}

// commands are known by two words.
func commands() map[string]command {
	return map[string]command{
		"audit verify":    auditVerify,
		"users announce":  usersAnnounce,
		"users import":    usersImport,
		"users reset-mfa": usersResetMFA,
		"keys reseal":     keysReseal,
	}
}

// runCommand carries out the command that the arguments name, with the settings
// of the environment, and reports false if they name none.
func runCommand(ctx context.Context, args, environ []string, stdout io.Writer) (bool, error) {
	if len(args) < 2 {
		return false, nil
	}
	run, known := commands()[args[0]+" "+args[1]]
	if !known {
		return false, nil
	}
	var cfg Config
	if err := config.Load(&cfg, environ, Prefix); err != nil {
		return true, err
	}
	return true, run(ctx, &cfg, args[2:], stdout)
}
