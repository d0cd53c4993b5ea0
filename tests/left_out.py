"""What the embedded run leaves out where the services answer, as the run on them has proven it."""

ALIKE = [
    # These bring settings, database and broker of their own, some of them embedded ones, or look at the supervisor.
    "tests/docs",
    "tests/system/faults",
    "tests/system/hosts",
    "tests/system/running",
    "tests/system/processes/test_database_address.py",
    "tests/system/processes/test_supervisor.py",
    "tests/system/processes/test_what_keeps_it_from_starting.py",
    "tests/system/processes/test_demo.py::test_a_process_that_does_not_come_up_ends_the_demo_with_the_end_of_its_log",
    "tests/system/processes/test_demo.py::test_what_is_not_settled_in_time_is_named_and_fails_the_demo",
    # These have neither database nor broker, or make them up.
    "tests/awards/admin/test_codes.py",
    "tests/awards/test_fake_vendor.py",
    "tests/awards/test_luck.py",
    "tests/awards/test_translations.py",
    "tests/awards/test_vendor_client.py",
    "tests/benchmarks",
    "tests/outbox/admin/test_styles.py",
    "tests/outbox/api/test_without_ninja.py",
    "tests/outbox/broker/test_dispatcher.py",
    "tests/outbox/broker/test_filesystem.py",
    "tests/outbox/checks/test_redis_server.py",
    "tests/outbox/external/sequences/test_ranges.py",
    "tests/outbox/external/test_declaring.py",
    "tests/outbox/failures/test_reasons.py",
    "tests/outbox/monitoring/test_findings.py",
    "tests/outbox/monitoring/test_refused_findings.py",
    "tests/outbox/operate/test_pacing.py",
    "tests/outbox/rehearsal/test_results.py",
    "tests/outbox/test_archives.py",
    "tests/outbox/test_bare_hosts.py",
    "tests/outbox/test_conf.py",
    "tests/outbox/test_policy.py",
    "tests/outbox/test_public_names.py",
    "tests/outbox/test_registry.py",
    "tests/outbox/test_sources.py",
    "tests/outbox/test_topics.py",
    "tests/outbox/test_translation.py",
    "tests/test_docstrings.py",
    "tests/test_environment.py",
    "tests/test_lanes.py",
    "tests/test_measure.py",
    "tests/test_releases.py",
    "tests/test_stylesheets.py",
    "tests/test_suite.py",
]
"""What does the very same embedded: where the services answer, it is run beside them, and not once more."""
LINKS = "tests/awards/admin/test_links.py::test_every_link_of_each_group_leads_somewhere"
PROVEN_ONCE = [
    # Who may do what, and for how long.
    "tests/outbox/admin/test_denials.py",
    "tests/outbox/admin/test_permission_groups.py",
    "tests/outbox/admin/test_sessions.py",
    "tests/outbox/api/test_roles.py",
    "tests/system/test_logins.py",
    # How a page words, escapes and links what was read.
    "tests/outbox/admin/messages/test_edit_forms.py",
    "tests/outbox/admin/test_error_pages.py",
    "tests/outbox/admin/test_formats.py",
    "tests/outbox/admin/test_second_site.py",
    "tests/outbox/admin/test_stock_pages.py",
    "tests/outbox/admin/test_typed.py",
    "tests/outbox/admin/test_visible.py",
    "tests/outbox/api/test_document.py",
    # How many statements a page makes among many rows, and where its links lead who may see less; the lead reads every
    # page of the admin embedded, too.
    "tests/awards/admin/test_queries_of_every_page.py",
    f"{LINKS}[Outbox viewer]",
    f"{LINKS}[Outbox operator]",
    f"{LINKS}[Outbox auditor]",
]
"""What hangs on no database, though it needs one: PostgreSQL, where it answers."""
