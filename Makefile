.PHONY: run test lint bench fuzz doc

run:
	cargo run --release -- localserve

test: lint
	./tests/setup
	cargo test --workspace --locked --quiet

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# smtp-sink comes with Postfix: apt-get install postfix
bench:
	cargo bench --locked --bench load -- accept
	cargo bench --locked --bench load -- end-to-end
	cargo bench --locked --bench load -- by-mx
	cargo bench --locked --bench load -- backlog
	cargo bench --locked --bench load -- uploads

# Needs nightly and cargo-fuzz (cargo install cargo-fuzz --locked). What it finds is in fuzz/artifacts.
FUZZ_SECONDS ?= 300
FUZZ_TARGETS = dsn arf mime submitted smtp_command smtp_session smtp_reply

fuzz:
	./fuzz/seeds/make
	set -e; for target in $(FUZZ_TARGETS); do \
		cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/corpus/seeds-$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048; \
	done

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
