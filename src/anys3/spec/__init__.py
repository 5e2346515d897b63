"""The single source of truth as data: requirements, profiles, tiers, operations, headers, errors, limits."""
