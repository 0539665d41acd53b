/** Who answers: which database, on which port, and which pool asked. */
export const WHO_AM_I = `SELECT current_database()::text AS database, inet_server_port() AS port, current_setting('application_name') AS application`;

export const PING = 'SELECT 1';
